"""A classifier that reads each sentence of a message in its context: all-MiniLM-L6-v2, adapted to danger.

The ONNX graph beside this file (made by `mh_devtools.risk.train`) holds low-rank adapters of the model's layers (Hu et
al. 2021, "LoRA") and what decides about a sentence; the model's own weights are those that the local embedder uses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from mh_common.embeddings.local import batches_of, find_model_dir, open_session, verify_model
from mh_common.models.risk import RiskCategory, RiskLevel
from mh_common.risk_classifier.english import sentences_in_english

GRAPH: Final = Path(__file__).with_name("minilm_risk.onnx")
CATEGORIES: Final = tuple(RiskCategory)
"""In the order of the graph's outputs."""

MAX_SENTENCE: Final = 80
"""Tokens of a sentence that are read."""

WINDOW: Final = 4
"""Sentences that are read together. Among many ordinary sentences, a hint is no longer noticed."""

STRIDE: Final = 2
"""Sentences from one window to the next: each is read with others before and after it."""

_BUDGET: Final = 512
_BEGIN: Final = 101
_END: Final = 102
_DANGER: Final = 0
_URGENT: Final = 1
_FIRST_CATEGORY: Final = 2

Ids = list[int]


@dataclass(frozen=True, slots=True)
class SentenceRisk:
    """A sentence in which danger was noticed: its place in the text, how pressing it is, and what."""

    start: int
    end: int
    level: RiskLevel
    categories: Sequence[RiskCategory]


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: int
    start: int
    end: int
    ids: Ids


class RiskClassifier:
    """Blocking; it takes about as long as embedding the texts. Safe for use in several threads.

    Args:
        threads: CPU threads; 0 means all CPUs, at most 4.
        model_dir: folder with the local model's files; None means the installed wheel.

    Raises:
        EmbedderError: the model's files are missing or not the expected ones.
    """

    def __init__(self, *, threads: int = 0, model_dir: Path | None = None) -> None:
        folder = model_dir or find_model_dir()
        verify_model(folder)
        self._session = open_session(GRAPH, folder, threads)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def read(self, texts: Sequence[str]) -> list[list[SentenceRisk]]:
        """Return for each text the sentences in which danger is noticed.

        What stands beside a dangerous sentence is read with it and scores higher than it would alone, so a sentence is
        left out if it has less than half of the highest score nearby.
        """
        highest: dict[tuple[int, int], tuple[_Sentence, npt.NDArray[np.float32]]] = {}
        windows = list(_windows(self._sentences(texts)))
        for batch in batches_of([_length(window) for window in windows], _BUDGET):
            for position, rows in zip(batch, self._run([windows[one] for one in batch]), strict=True):
                scored = list(zip(windows[position], rows, strict=False))  # shorter windows are padded
                least = max(0.0, max(row[_DANGER] for _, row in scored) / 2)
                for sentence, row in scored:
                    key = (sentence.text, sentence.start)
                    if row[_DANGER] > least and (key not in highest or row[_DANGER] > highest[key][1][_DANGER]):
                        highest[key] = (sentence, row)
        found: list[list[SentenceRisk]] = [[] for _ in texts]
        for _, (sentence, row) in sorted(highest.items(), key=itemgetter(0)):
            found[sentence.text].append(_risk(sentence, row))
        return found

    def _sentences(self, texts: Sequence[str]) -> list[_Sentence]:
        places, inputs = [], []
        for number, text in enumerate(texts):
            for start, end, shown in sentences_in_english(text):
                places.append((number, start, end))
                inputs.append(shown)
        # The tokenizer does not accept lone surrogates.
        clean = [text.encode("utf-8", "replace").decode() for text in inputs]
        encoded = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return [_Sentence(*place, encoding.ids[:MAX_SENTENCE]) for place, encoding in zip(places, encoded, strict=True)]

    def _run(self, windows: Sequence[Sequence[_Sentence]]) -> npt.NDArray[np.float32]:
        """Return the graph's outputs for each sentence of each window: (windows, sentences, outputs)."""
        shape = len(windows), max(map(_length, windows))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        shares = np.zeros((shape[0], max(map(len, windows)), shape[1]), np.float32)
        for row, window in enumerate(windows):
            ids[row, 0] = _BEGIN
            at = 1
            for number, sentence in enumerate(window):
                end = at + len(sentence.ids)
                ids[row, at:end] = sentence.ids
                shares[row, number, at:end] = 1 / max(1, len(sentence.ids))
                at = end
            ids[row, at] = _END
            mask[row, : at + 1] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "shares": shares}
        [scores] = self._session.run(None, feed)
        return scores  # type: ignore[no-any-return] # onnxruntime declares any kind of value


@cache
def load_classifier(threads: int = 0, model_dir: Path | None = None) -> RiskClassifier:
    """Return the classifier; it is loaded once in a process, in about half a second. See `RiskClassifier`."""
    return RiskClassifier(threads=threads, model_dir=model_dir)


def _windows(sentences: Sequence[_Sentence]) -> Iterator[list[_Sentence]]:
    """Yield what is read together: overlapping stretches of each text."""
    for _, group in groupby(sentences, key=attrgetter("text")):
        text = list(group)
        last = max(0, len(text) - WINDOW)
        for start in sorted({*range(0, last, STRIDE), last}):
            yield text[start : start + WINDOW]


def _length(window: Sequence[_Sentence]) -> int:
    return 2 + sum(len(sentence.ids) for sentence in window)


def _risk(sentence: _Sentence, row: npt.NDArray[np.float32]) -> SentenceRisk:
    scores = row[_FIRST_CATEGORY:]
    likely = [CATEGORIES[one] for one in np.argsort(-scores) if scores[one] > 0]
    level = RiskLevel.ACUTE if row[_URGENT] > 0 else RiskLevel.ELEVATED
    return SentenceRisk(sentence.start, sentence.end, level, likely or [CATEGORIES[int(scores.argmax())]])
