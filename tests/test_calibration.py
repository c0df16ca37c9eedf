"""The tool that fits scores: it finds back what made the data, and says how far scores are off."""

import json
from pathlib import Path

import numpy as np
import pytest
from mh_devtools.paths import SAMPLE
from mh_devtools.search import relevance
from mh_devtools.search.calibration import Asked, Kind, Reliability, fit, held_out_scores, threshold, wilson
from mh_devtools.search.reliability_plot import draw
from rag_api.search.calibration import Calibration

TRUE = Calibration(slope=18.0, offset=-8.0)


def made_up(count: int, seed: int = 0) -> list[Asked]:
    """Queries of which one hit, or none, is relevant with the probabilities that the true calibration says."""
    drawn = np.random.default_rng(seed)
    queries = []
    for _ in range(count):
        evidence = -np.sort(-drawn.normal(drawn.uniform(0.2, 0.7), 0.12, size=10))
        rivals = TRUE.rivals(evidence.tolist())
        scores = [TRUE.score(one, rivals) for one in evidence.tolist()]
        relevant = drawn.multinomial(1, [*scores, 1 - sum(scores)])[:-1].astype(float)
        queries.append(Asked("made up", "queries", Kind.LABELLED, evidence, relevant))
    return queries


def best(file: str, kind: Kind, evidence: float, held_out: bool = False) -> Asked:
    return Asked("made up", file, kind, np.array([evidence]), np.zeros(1), held_out)


def test_the_fit_finds_the_calibration_that_made_the_data_and_its_scores_are_right() -> None:
    queries = made_up(1500)
    found = fit(queries)
    assert found.slope == pytest.approx(TRUE.slope, rel=0.15)
    assert found.offset == pytest.approx(TRUE.offset, rel=0.15)
    scores, relevant = held_out_scores(queries), [one.relevant for one in queries]
    assert Reliability(scores, relevant).error() < 0.02
    best_hits = Reliability([one[:1] for one in scores], [one[:1] for one in relevant])
    assert best_hits.error() < 0.05
    low, high = best_hits.error_interval()
    assert 0 < low < high < 0.1


def test_scores_that_promise_too_much_are_told() -> None:
    wrong = Reliability([np.array([0.9, 0.9])] * 50, [np.array([1.0, 0.0])] * 50)
    assert wrong.error() == pytest.approx(0.4)
    assert [wrong.score, wrong.share] == pytest.approx([0.9, 0.5])
    assert [one.hits if one else 0 for one in wrong.bins()] == [0] * 9 + [100]


def test_the_threshold_keeps_what_it_promises() -> None:
    off = [best("off", Kind.OFF_TOPIC, place / 100) for place in range(100)]
    ignored = [best("off", Kind.OFF_TOPIC, 2.0, held_out=True)]
    on = [best("on", Kind.LABELLED, 0.5 + place / 50) for place in range(100)]

    def shares(accepted: float, rejected: float) -> tuple[float, float]:
        found = threshold([*off, *ignored, *on], TRUE, {"off": accepted}, rejected)
        assert found is not None
        off_above, on_above = (sum(TRUE.relevance(one.best) >= found for one in some) for some in (off, on))
        return off_above / 100, (100 - on_above) / 100

    assert shares(0.5, 1.0)[0] <= 0.5
    assert shares(0.1, 1.0)[0] <= 0.1
    assert shares(0.1, 0.05)[1] <= 0.05
    assert shares(0.1, 0.05)[0] > 0.1


def test_there_is_no_threshold_if_the_evidence_cannot_tell() -> None:
    same = [best("off", Kind.OFF_TOPIC, 0.6), best("on", Kind.LABELLED, 0.5)] * 50
    assert threshold(same, TRUE, {"off": 0.05}, 0.1) is None


def test_the_interval_of_a_share() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I: 81 of 263 and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_the_diagram_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    panel = {"hybrid": Reliability([np.array([0.9, 0.2])] * 5, [np.array([1.0, 0.0])] * 5)}
    first, second = (draw(tmp_path / name, "Scores", panel) for name in ("a", "b"))
    assert [file.suffix for file in first] == [".png", ".svg"]
    assert first[1].read_text() == second[1].read_text()


def test_a_share_above_its_baseline_is_reported() -> None:
    assert relevance.worse_than({"a": 0.05, "b": 0.1}, {"a": 0.055, "b": 0.2}) == [
        "b: 0.200, above the baseline of 0.100"
    ]


def test_the_harder_queries_off_topic_are_different_from_the_others_and_in_two_halves() -> None:
    easy, hard = (
        [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]
        for name in relevance.OFF_TOPIC
    )
    queries = [row["query"].casefold() for row in (*easy, *hard)]
    assert len(set(queries)) == len(queries)
    parts = [row["part"] for row in hard]
    assert parts.count("dev") == parts.count("heldout") == len(hard) / 2
    halves = {(row["topic"], row["part"]) for row in hard}
    assert len(halves) == 2 * len({topic for topic, _ in halves}) == 12
