"""What makes a text usable as a question or an answer, and a name usable as that of a column."""

import re
from typing import Final

from mh_common.models.base import MAX_TEXT_LENGTH
from mh_common.text import is_blank

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def without_halves(text: str) -> str:
    """Return the text with U+FFFD for what no UTF-8 can be written for."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def clean_name(name: str) -> str:
    """Return a column's name without the blanks, quotes and invisible characters that a file has around or in it."""
    seen = "".join(" " if one.isspace() else one for one in name if one.isspace() or not is_blank(one))
    return " ".join(seen.split()).strip("\"' ")


def text_fault(text: str) -> str | None:
    """Return what makes a text unusable as a question or an answer and how to mend it, or None."""
    if "\x00" in text:
        return "holds a NUL character (U+0000), which cannot be stored; remove it"
    if not text.isascii() and _LONE_SURROGATE.search(text):
        return "holds half of a character, or a byte of another encoding; write that character anew"
    if is_blank(text):
        return "is empty, or nothing in it is visible; fill it in"
    if len(text) > MAX_TEXT_LENGTH and len(text.strip()) > MAX_TEXT_LENGTH:
        return f"is longer than {MAX_TEXT_LENGTH:,} characters; shorten it"
    return None
