"""The screener that joins lexicon and classifier, where the local model is installed."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from mh_common.embeddings.protocol import EmbedderError
from mh_common.models.risk import Risk, RiskSpan
from mh_common.risk import LexiconScreener, RiskScreener
from mh_common.risk.screening import risk_of

if TYPE_CHECKING:
    from mh_common.risk_classifier.classifier import RiskClassifier, SentenceRisk

log = structlog.get_logger(__name__)

CLASSIFIER_MISSING = "risk_classifier_missing"


class JoinedScreener:
    """Screens by lexicon and classifier: what either notices is noticed; a `RiskScreener`.

    The words of the lexicon say best where the danger is, so the classifier adds a sentence only where the lexicon has
    noticed nothing as pressing.
    """

    def __init__(self, classifier: "RiskClassifier") -> None:
        self._lexicon = LexiconScreener()
        self._classifier = classifier
        # One thread: calls wait for each other rather than for processor time.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="risk-classifier")

    async def screen(self, texts: Sequence[str]) -> list[Risk]:
        """See `RiskScreener.screen`."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._executor, self._classifier.read, texts)
        return [
            risk_of(_joined(self._lexicon.spans(text), sentences)) for text, sentences in zip(texts, found, strict=True)
        ]

    async def close(self) -> None:
        """See `RiskScreener.close`."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def make_screener(*, threads: int = 0, model_dir: Path | None = None) -> RiskScreener:
    """Return the screener of this installation: by the lexicon alone, with a warning, where there is no local model.

    Args:
        threads: CPU threads of the classifier; 0 means all CPUs, at most 4.
        model_dir: folder with the local model's files; None means the installed wheel.
    """
    try:
        from mh_common.risk_classifier.classifier import load_classifier

        return JoinedScreener(load_classifier(threads, model_dir))
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed"
    except EmbedderError as error:
        reason = str(error)
    log.warning(CLASSIFIER_MISSING, reason=reason, hint="The lexicon alone screens questions; it misses more.")
    return LexiconScreener()


def _joined(spans: list[RiskSpan], sentences: "Sequence[SentenceRisk]") -> Iterator[RiskSpan]:
    yield from spans
    for sentence in sentences:
        inside = [span for span in spans if span.start < sentence.end and sentence.start < span.end]
        if all(span.level.rank < sentence.level.rank for span in inside):
            for category in sentence.categories:
                yield RiskSpan(start=sentence.start, end=sentence.end, category=category, level=sentence.level)
