"""Sentence segmentation for any script. In doubt, two sentences stay one, so that none is cut in the middle."""

import re
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]
"""Start and end in the text, as for slicing."""

_NEWLINE = r"(?:\r\n|[\n\r\x85\u2028\u2029])"
_BLANK = r"[^\S\n\r\x85\u2028\u2029]"
_BULLET = rf"(?:[-*+•·●▪◦‣\u2013—]|\(?\d{{1,3}}[.)]|\(?[A-Za-z]\)|[a-z]\.){_BLANK}+"

# A single line break is usually a wrapped line; an empty line or a list item starts a new block.
_BLOCK_END = re.compile(rf"{_NEWLINE}{_BLANK}*(?:{_NEWLINE}\s*|(?={_BULLET}))")
_BULLET_START = re.compile(rf"\s*(?:{_BULLET}\s*)?")

# Ideographic full stops and full-width marks end a sentence without whitespace after them.
_FULL_WIDTH = "\u3002\uff61\uff01\uff1f"
# Latin, Arabic, Urdu, Devanagari, Ethiopic, Burmese, Khmer, Armenian.
_SPACED = ".!?…‼⁇⁈⁉\u061f\u06d4।॥\u1362\u104b\u17d4\u0589"
_CLOSING = "\"'”\u2019»)\\]*_」』】\uff09"
_MARK = re.compile(rf"[{_FULL_WIDTH}{_SPACED}]+[{_CLOSING}]*")

_GLUED_NUMBER = re.compile(r"\d{1,2}[.)]\s*[^\W\d_]")

_WORD_BEFORE = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*\Z")
_LONGEST_ABBREVIATION: Final = 12
_ABBREVIATION = re.compile(
    r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}|"  # e.g, i.e, p.m, Ph.D, U.S
    r"mrs?|ms|mx|drs?|dra|prof|sra?|srta|jr|st|rev|hon|gov|sen|rep|gen|col|vs|figs?|approx|dept|ext|al|cf|ca|eg|ie|"
    r"vol|pp|pg|eds?|est|esp|incl|univ|assn|bzw|uds?|mme|mlle|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)


def sentence_spans(text: str, limit: int | None = None) -> list[Span]:
    """Return the sentences in order, without surrounding whitespace and list markers.

    With `limit`, return only sentences that certainly end within the first `limit` characters; the rest of the text is
    not read.
    """
    window = text if limit is None else text[:limit]
    spans = [span for start, end in _blocks(window) for span in _in_block(window, start, end)]
    if len(window) < len(text):
        # The last one may continue beyond the window.
        spans = spans[:-1]
    return spans


def truncate_at_sentence(text: str, limit: int) -> str:
    """Return the text or, if it has more than `limit` characters, its beginning up to the end of a sentence.

    Empty if not even the first sentence fits.
    """
    if len(text) <= limit:
        return text
    spans = sentence_spans(text, limit)
    return text[: spans[-1][1]] if spans else ""


def _blocks(text: str) -> Iterator[Span]:
    start = 0
    for gap in _BLOCK_END.finditer(text):
        yield start, gap.start()
        start = gap.end()
    yield start, len(text)


def _in_block(text: str, start: int, end: int) -> Iterator[Span]:
    marker = _BULLET_START.match(text, start, end)
    assert marker is not None  # it also matches the empty string
    start = marker.end()
    for mark in _MARK.finditer(text, start, end):
        if mark.end() < end and _is_end(text, mark, end):
            yield start, mark.end()
            start = _skip_blanks(text, mark.end(), end)
    end = start + len(text[start:end].rstrip())
    if start < end:
        yield start, end


def _skip_blanks(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _is_end(text: str, mark: re.Match[str], end: int) -> bool:
    """Return whether a sentence ends with this mark; it is not the end of the block."""
    if mark[0][0] in _FULL_WIDTH:
        return True
    following = _skip_blanks(text, mark.end(), end)
    if following == mark.end():
        return _is_glued(text, mark)
    if following < end and text[following].islower():
        return False
    return not (mark[0][0] == "." and mark[0][:2] != ".." and _is_abbreviation(text, mark.start(), following))


def _is_glued(text: str, mark: re.Match[str]) -> bool:
    """Return whether a sentence ends without a space after it: "… with.Then …", but not "e.g.This", "3.5", "a.b.c"."""
    before = text[max(0, mark.start() - 2) : mark.start()]
    if not (len(before) == 2 and before.isalpha() and before.islower()) and not (before and before[-1] in _CLOSING):
        return False
    after = text[mark.end() : mark.end() + 2]
    return (after[:1].isupper() and not after.isupper()) or _GLUED_NUMBER.match(text, mark.end()) is not None


def _is_abbreviation(text: str, dot: int, following: int) -> bool:
    word = _WORD_BEFORE.search(text[max(0, dot - _LONGEST_ABBREVIATION) : dot])
    if word is None:
        return False
    lower = word[0].casefold()
    if lower == "no":
        return text[following : following + 1].isdigit()
    # A single letter is an initial, except in "So do I."
    return _ABBREVIATION.fullmatch(lower) is not None or (len(lower) == 1 and lower != "i")
