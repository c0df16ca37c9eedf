"""What makes a text usable as a question or an answer, and when two conversations are the same."""

import hashlib
import re
import unicodedata
from typing import Final

from mh_common.models.base import MAX_TEXT_LENGTH
from mh_common.text import is_blank, normalized

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Of these categories no character shows: controls, formats, not assigned, private, separators.
_UNSEEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})


def is_visible(text: str) -> bool:
    """Say whether anything of a text shows: more than blanks, controls and characters without a shape."""
    # Most texts begin with a letter of ASCII, which saves looking its category up.
    if "!" <= text[:1] <= "~":
        return True
    return any(unicodedata.category(one) not in _UNSEEN_CATEGORIES and not is_blank(one) for one in text)


def without_halves(text: str) -> str:
    """Return the text with U+FFFD for what no UTF-8 can be written for."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def clean_name(name: str) -> str:
    """Return a column's name without the blanks, quotes and invisible characters that a file has around or in it."""
    seen = "".join(" " if one.isspace() else one for one in name if one.isspace() or is_visible(one))
    return " ".join(seen.split()).strip("\"' ")


def text_fault(text: str) -> str | None:
    """Return what makes a text unusable as a question or an answer and how to mend it, or None."""
    if "\x00" in text:
        return "holds a NUL character (U+0000), which cannot be stored; remove it"
    if not text.isascii() and _LONE_SURROGATE.search(text):
        return "holds half of a character, or a byte of another encoding; write that character anew"
    if not is_visible(text):
        return "is empty, or nothing in it is visible; fill it in"
    if len(text) > MAX_TEXT_LENGTH and len(text.strip()) > MAX_TEXT_LENGTH:
        return f"is longer than {MAX_TEXT_LENGTH:,} characters; shorten it"
    return None


def content_hash(question: str, answer: str) -> str:
    """Return 64 hexadecimal digits that are the same for the same question and answer, and for no others.

    Same means: equal in Unicode's composed form (NFC), without the blanks around each text, however lines end.
    """
    texts = [_comparable(question), _comparable(answer)]
    # The length keeps the two apart: what moves from one to the other makes another conversation.
    return hashlib.sha256(f"{len(texts[0])}:{''.join(texts)}".encode("utf-8", "surrogatepass")).hexdigest()


def _comparable(text: str) -> str:
    return normalized(text.replace("\r\n", "\n").replace("\r", "\n")).strip()
