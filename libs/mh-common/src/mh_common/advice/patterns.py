"""Patterns of words."""

import re
from collections.abc import Iterator
from typing import Final

END: Final = r"(?= *(?:$|[.!;,)\"\u2013\u2014]))"
"""The end of a clause."""
FULL_STOP: Final = r"(?= *(?:$|[.!;]))"
"""The end of a sentence, or of what could be one."""
SELF: Final = r"(?:my|your|him|her|them|one)sel(?:f|ves)"

# An escape, a set of characters, or one character.
_TOKEN: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])+\]|.", re.DOTALL)


def any_of(*patterns: str) -> re.Pattern[str]:
    """Return a pattern that matches where one of these does. For texts in lower case, which is several times faster.

    Those that begin at the beginning of a word are tried only there.
    """
    at_word = [pattern for pattern in patterns if all(one.startswith(r"\b") for one in _alternatives(pattern))]
    elsewhere = [f"(?:{pattern})" for pattern in patterns if pattern not in at_word]
    joined = "|".join(f"(?:{pattern})" for pattern in at_word)
    return re.compile("|".join([rf"\b(?:{joined})", *elsewhere] if at_word else elsewhere))


def _alternatives(pattern: str) -> Iterator[str]:
    """Yield the alternatives of a pattern: what stands between the bars outside parentheses."""
    depth, begin = 0, 0
    for token in _TOKEN.finditer(pattern):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == "|" and not depth:
            yield pattern[begin : token.start()]
            begin = token.end()
    yield pattern[begin:]
