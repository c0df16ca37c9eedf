"""Parts of a text around what is easily found, so that costly expressions are tried nowhere else."""

import re
from typing import Final

Parts = list[tuple[int, int]]
"""(start, end) of each part, in order; they do not touch."""

BEFORE: Final = 110
"""Characters before a digit that may announce it."""
AFTER: Final = 60

_DIGITS: Final = re.compile(r"\d+")


def around_digits(text: str) -> Parts:
    """Return the parts around the digits of the text."""
    return around(_DIGITS, text, BEFORE, AFTER)


def around(expression: re.Pattern[str], text: str, before: int, after: int) -> Parts:
    """Return the parts that begin and end so many characters before and after each match."""
    parts: Parts = []
    start = end = -1
    for match in expression.finditer(text):
        if match.start() - before > end:
            if end >= 0:
                parts.append((start, end))
            start = max(0, match.start() - before)
        end = min(len(text), match.end() + after)
    if end >= 0:
        parts.append((start, end))
    return parts
