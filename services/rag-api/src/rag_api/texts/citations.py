"""Citations: [1], [1, 2], [1-3], 【1】 are normalized to [1][2]; citations of unknown sources are removed."""

import re
from collections.abc import Collection
from typing import Final

MAX_CITATION_LENGTH: Final = 60
"""Maximum characters between the brackets of a citation; anything longer is text."""

_OPENING: Final = "[【\uff3b"
_CLOSING: Final = "]】\uff3d"
_INSIDE: Final = rf"[^{re.escape(_OPENING + _CLOSING)}\n]{{1,{MAX_CITATION_LENGTH}}}"
_BRACKETS = re.compile(rf"([^\S\n]{{0,8}})[{re.escape(_OPENING)}]({_INSIDE})[{re.escape(_CLOSING)}]")
_WORD: Final = r"(?:(?:conversations?|sources?|quellen?|fuentes?|refs?\.?)\s*)?#?"
_PART = re.compile(rf"{_WORD}(\d+)(?::\d+)?(?:\s*[-\u2010-\u2015\u2212]\s*(\d+))?", re.IGNORECASE)
_BETWEEN: Final = r"(?:\s*[,;&/、\uff0c]\s*(?:and\s+)?|\s+(?:(?:and|und|et|y)\s+)?)"
_BODY = re.compile(rf"\s*\^?({_PART.pattern}(?:{_BETWEEN}{_PART.pattern})*)\s*(?:†.*)?", re.IGNORECASE)


def normalize_citations(text: str, numbers: Collection[int]) -> str:
    """Return the text with each citation in the form [1][2], without citations of numbers not in `numbers`."""

    def rewritten(match: re.Match[str]) -> str:
        body = _BODY.fullmatch(match[2])
        if body is None:
            return match[0]
        cited = "".join(f"[{number}]" for number in _cited(body[1], numbers))
        return match[1] + cited if cited else ""

    return _BRACKETS.sub(rewritten, text)


def stable_end(text: str) -> int:
    """Return the length of the prefix of an incomplete text whose citations no continuation can change."""
    end = len(text)
    opening = max(
        text.rfind(mark, end - MAX_CITATION_LENGTH - 2 if end > MAX_CITATION_LENGTH + 2 else 0) for mark in _OPENING
    )
    if opening >= 0 and not any(mark in text[opening:] for mark in (*_CLOSING, "\n")):
        end = opening
    # A removed citation takes the whitespace before it along.
    return len(text[:end].rstrip())


def _cited(body: str, numbers: Collection[int]) -> list[int]:
    """Return the cited numbers in order of appearance, each once; of a range, those that exist."""
    named: dict[int, None] = {}
    for part in _PART.finditer(body):
        first, last = sorted((int(part[1]), int(part[2] or part[1])))
        named |= dict.fromkeys(number for number in sorted(numbers) if first <= number <= last)
    return list(named)
