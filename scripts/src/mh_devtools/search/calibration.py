"""The statistics of calibration: fit how evidence becomes a score, and measure how far scores are from the truth.

A score is calibrated if of the hits with a score of about 0.8 about 80 % are relevant. How far it is from that is
measured by the expected calibration error: hits are binned by score, and the differences between the mean score and the
share of relevant hits of the bins are averaged, weighted by their hits (Naeini, Cooper and Hauskrecht 2015, "Obtaining
Well Calibrated Probabilities Using Bayesian Binning").
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rag_api.search.calibration import RIVALS, Calibration
from scipy.optimize import minimize
from scipy.special import logsumexp

Array = npt.NDArray[np.float64]

SHOWN: Final = 10
"""Hits that a search shows by default, and that scores are calibrated for."""
BINS: Final = 10
FOLDS: Final = 10
RESAMPLES: Final = 2000
OFF_TOPIC_SHARE: Final = 0.1
"""The share of queries off topic that scores are fitted for. There is no telling how many there will be; with one in
ten, their hits count enough to be told from others."""


class Kind(StrEnum):
    """What is known of a query: its relevant hits, or that there are none."""

    LABELLED = "labelled"
    OFF_TOPIC = "off topic"


@dataclass(frozen=True)
class Asked:
    """A query and its hits, best first.

    Attributes:
        data: the conversations that were searched.
        file: the file that the query is from.
        kind: what is known of it.
        evidence: of each hit, one for each question.
        relevant: 1 for hits that are known to be relevant, else 0.
        held_out: whether neither the fit nor the threshold may use it.
    """

    data: str
    file: str
    kind: Kind
    evidence: Array
    relevant: Array
    held_out: bool = False

    @property
    def best(self) -> float:
        """The evidence of the best hit; below any other if nothing was found."""
        return float(self.evidence[0]) if len(self.evidence) else -math.inf


class Bin(NamedTuple):
    """The hits whose scores are in one bin: how many, their mean score, and the share that is relevant."""

    hits: int
    score: float
    share: float


def fit(queries: Sequence[Asked]) -> Calibration:
    """Return the calibration with the least logarithmic loss over the hits shown, without a threshold."""
    queries = [one for one in queries if not one.held_out and len(one.evidence)]
    evidence = np.full((len(queries), RIVALS), -np.inf)
    relevant = np.zeros((len(queries), SHOWN))
    for place, one in enumerate(queries):
        evidence[place, : len(one.evidence)] = one.evidence[:RIVALS]
        relevant[place, : len(one.relevant)] = one.relevant[:SHOWN]
    labelled = np.array([one.kind is Kind.LABELLED for one in queries])
    off_topic = OFF_TOPIC_SHARE / (1 - OFF_TOPIC_SHARE) * labelled.sum() / max((~labelled).sum(), 1)
    weights = np.where(labelled, 1.0, off_topic)[:, None] * np.isfinite(evidence[:, :SHOWN])

    def loss(values: Array) -> float:
        slope, offset = math.exp(values[0]), values[1]
        odds = slope * evidence
        nothing = np.full((len(odds), 1), -offset)
        likely = np.exp(odds[:, :SHOWN] - logsumexp(np.hstack([odds, nothing]), axis=1, keepdims=True))
        likely = np.clip(likely, 1e-9, 1 - 1e-9)
        losses = relevant * np.log(likely) + (1 - relevant) * np.log(1 - likely)
        return float(-(weights * losses).sum() / weights.sum())

    found = minimize(loss, [math.log(20), -9.0], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-8})
    return Calibration(math.exp(found.x[0]), float(found.x[1]))


def scores(asked: Asked, calibration: Calibration) -> Array:
    """Return the scores of the hits shown."""
    if not len(asked.evidence):
        return np.zeros(0)
    rivals = calibration.rivals(asked.evidence.tolist())
    return np.array([calibration.score(evidence, rivals) for evidence in asked.evidence[:SHOWN].tolist()])


def held_out_scores(queries: Sequence[Asked]) -> list[Array]:
    """Return the scores of the hits shown of each query, by a calibration fitted to the queries of the other folds."""
    # Neighbours in a file may be about the same theme.
    folds = np.random.default_rng(0).permutation(len(queries)) % FOLDS
    fitted = [fit([one for one, own in zip(queries, folds, strict=True) if own != fold]) for fold in range(FOLDS)]
    return [scores(one, fitted[fold]) for one, fold in zip(queries, folds, strict=True)]


def threshold(
    queries: Sequence[Asked], calibration: Calibration, accepted: Mapping[str, float], rejected: float
) -> float | None:
    """Return the threshold of relevance, in hundredths; None if even the best one accepts most queries off topic.

    Args:
        queries: those that are held out do not count.
        calibration: turns their evidence into relevance.
        accepted: the threshold is the least one that accepts at most this share of the queries off topic, by file,
            whatever the data,
        rejected: or a lower one, if it would reject more than this share of the labelled queries of a file.
    """
    groups: dict[tuple[str, str], list[Asked]] = {}
    for one in queries:
        if not one.held_out:
            groups.setdefault((one.data, one.file), []).append(one)
    least, most = 0.0, 1.0
    for (_, file), some in groups.items():
        relevance = sorted((calibration.relevance(one.best) for one in some), reverse=True)
        if some[0].kind is Kind.OFF_TOPIC:
            # The best of those that must stay below.
            least = max(least, *relevance[math.floor(accepted[file] * len(some)) :][:1], 0.0)
        else:
            most = min(most, relevance[max(len(some) - 1 - math.floor(rejected * len(some)), 0)])
    found = min(math.floor(least * 100 + 1), math.floor(most * 100)) / 100
    off_topic = (some for some in groups.values() if some[0].kind is Kind.OFF_TOPIC)
    tells = all(sum(calibration.relevance(one.best) >= found for one in some) <= len(some) / 2 for some in off_topic)
    return found if tells else None


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, "Probable Inference, the Law of Succession")."""
    z = 1.959964
    share = count / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(middle - half, 0.0), min(middle + half, 1.0)


class Reliability:
    """How the scores of hits compare with the shares that are relevant.

    Args:
        scored: the scores of each query's hits.
        relevant: which of them are relevant, in the same order.
    """

    def __init__(self, scored: Sequence[Array], relevant: Sequence[Array]) -> None:
        # By query and bin: the number of hits, the sum of their scores, and how many are relevant.
        self._sums = np.array([_sums(*one) for one in zip(scored, relevant, strict=True)])

    def bins(self) -> list[Bin | None]:
        """Return the bins, lowest scores first; None for those without hits."""
        totals = self._sums.sum(axis=0)
        return [Bin(int(n), score / n, found / n) if n else None for n, score, found in totals]

    @property
    def score(self) -> float:
        """The mean score of the hits."""
        return float(self._sums[..., 1].sum() / self._sums[..., 0].sum())

    @property
    def share(self) -> float:
        """The share of the hits that is relevant."""
        return float(self._sums[..., 2].sum() / self._sums[..., 0].sum())

    def error(self) -> float:
        """Return the expected calibration error."""
        return float(_errors(self._sums.sum(axis=0)[None])[0])

    def error_interval(self) -> tuple[float, float]:
        """Return the 95 % bootstrap interval of the expected calibration error, over queries."""
        return _interval(_errors(self._resampled()))

    def share_intervals(self) -> list[tuple[float, float] | None]:
        """Return the 95 % bootstrap interval of the relevant share of each bin, over queries; None without hits."""
        sums = self._resampled()
        filled = [sums[sums[:, place, 0] > 0, place] for place in range(BINS)]
        quantiles = [
            np.quantile(one[:, 2] / one[:, 0], [0.025, 0.975]).tolist() if len(one) else None for one in filled
        ]
        return [None if one is None else (one[0], one[1]) for one in quantiles]

    def _resampled(self) -> Array:
        """Return the sums by bin of resamples of the queries, an array (resamples, bins, sums)."""
        count = len(self._sums)
        drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        sums: Array = np.tensordot(drawn.astype(float), self._sums, axes=1)
        return sums


def _interval(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _sums(scored: Array, relevant: Array) -> Array:
    places = np.minimum((scored * BINS).astype(int), BINS - 1)
    return np.stack(
        [np.bincount(places, weights, minlength=BINS) for weights in (np.ones(len(scored)), scored, relevant)], axis=1
    )


def _errors(sums: Array) -> Array:
    """Return the expected calibration error of each array (bins, sums)."""
    errors: Array = np.abs(sums[..., 1] - sums[..., 2]).sum(axis=1) / sums[..., 0].sum(axis=1)
    return errors


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the area under the ROC curve: how often a positive is above a negative."""
    above = np.array(positive)[:, None] - np.array(negative)[None]
    return float((above > 0).mean() + (above == 0).mean() / 2)
