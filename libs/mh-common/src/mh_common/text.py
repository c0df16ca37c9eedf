"""Text as a reader sees it: its normal form, what shows of it, the plain text of HTML, and what counts as the same."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from html.entities import html5
from typing import Final

# Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt) and the blank Braille cell: letters, marks
# and symbols by their category, but nothing that a reader sees.
INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Ranges of characters that show nothing, as in a regular expression's brackets."""
_UNSEEN: Final = re.compile(rf"[\s\x00-\x1f\x7f-\x9f{INVISIBLE}]+")

_PARAGRAPH: Final = "\n\n"
_BLOCKS: Final = """
    address article aside blockquote body center dd details dir div dl dt fieldset figcaption figure footer form h1 h2
    h3 h4 h5 h6 head header hr html main menu nav ol p pre section summary table tbody tfoot thead title ul
"""
_BREAKS: Final = {
    **dict.fromkeys(_BLOCKS.split(), _PARAGRAPH),
    "br": "\n",
    "tr": "\n",
    "li": "\n- ",
    "td": " ",
    "th": " ",
}
"""What stands in plain text for an element that begins; for one that ends, paragraphs alone."""
_INLINE: Final = """
    a abbr b bdi bdo big button cite code col colgroup del dfn em font i iframe img input ins kbd label link mark meta
    o:p q s samp small span strike strong sub sup time tt u var wbr
"""
_UNREAD: Final = ("script", "style")
"""Elements whose content is not text."""

# Only elements of HTML are tags: "a < b", "<3" and "<jo@example.org>" are text, which parsers of HTML drop. A tag holds
# no other one, so that the time for a hostile text grows with its length and no faster; parsers can take minutes.
_TAG: Final = re.compile(
    rf"<(?P<end>/?)(?P<name>{'|'.join([*_BREAKS, *_INLINE.split(), *_UNREAD])})(?=[\s/>])"
    r"""(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""",
    re.IGNORECASE,
)
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_AROUND_NEWLINES: Final = re.compile(r" ?\n ?")
_NEWLINES: Final = re.compile(r"\n{3,}")


def normalized(text: str) -> str:
    """Return the text in Unicode's normal form C: what reads the same is the same."""
    return unicodedata.normalize("NFC", text)


def is_blank(text: str) -> bool:
    """Say whether a reader sees nothing of the text: it has white space, control and invisible characters alone."""
    return not text or _UNSEEN.fullmatch(text) is not None


def content_hash(question: str, answer: str) -> bytes:
    """Return 32 bytes that are the same for the same question and answer, and for no others.

    Same means: equal in Unicode's normal form C, without the blanks around each text, however lines end. Letter case,
    the blanks inside a text and mark-up count.
    """
    texts = [_comparable(question), _comparable(answer)]
    # The length keeps the two apart: what moves from one to the other makes another conversation.
    return hashlib.sha256(f"{len(texts[0])}:{''.join(texts)}".encode("utf-8", "surrogatepass")).digest()


def _comparable(text: str) -> str:
    return normalized(text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def as_read(text: str) -> str:
    """Return a stored text as search reads and shows it: plain text in normal form. Not to be applied twice."""
    return normalized(plain_text(text))


def plain_text(text: str) -> str:
    """Return what a browser would show of a text that holds HTML; any other text as it is.

    An empty line sets paragraphs and other blocks apart, a line break lines and items of a list. Entities are decoded;
    scripts, styles and comments are left out. What only looks like a tag stays. Where the text has no blocks, its own
    line breaks count.
    """
    if "<" not in text and "&" not in text:
        return text
    shown = _without_comments(text)
    tags = list(_TAG.finditer(shown))
    if not tags and shown == text and _decoded(text) == text:
        return text
    breaks = any(tag["name"].lower() in _BREAKS for tag in tags)
    plain = "".join(_pieces(shown, tags, own_lines=not breaks))
    plain = _AROUND_NEWLINES.sub("\n", _BLANKS.sub(" ", plain))
    return _NEWLINES.sub(_PARAGRAPH, plain).strip()


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    kept = [first]
    for part in others:
        _, end, after = part.partition("-->")
        kept.append(after if end else f"<!--{part}")
    return "".join(kept)


def _pieces(text: str, tags: list[re.Match[str]], *, own_lines: bool) -> Iterator[str]:
    """Yield the text between the tags, and what stands for these."""
    last_end = {tag["name"].lower(): tag.start() for tag in tags if tag["end"]}
    at, unread = 0, ""
    for tag in tags:
        name = tag["name"].lower()
        if not unread:
            yield _shown(text[at : tag.start()], own_lines)
            mark = _BREAKS.get(name, "")
            yield mark if not tag["end"] or mark == _PARAGRAPH else ""
            # One that never ends hides nothing.
            unread = name if name in _UNREAD and last_end.get(name, -1) > tag.start() else ""
        elif tag["end"] and name == unread:
            unread = ""
        at = tag.end()
    yield _shown(text[at:], own_lines)


def _shown(text: str, own_lines: bool) -> str:
    return _decoded(text if own_lines else re.sub(r"\s+", " ", text))


def _decoded(text: str) -> str:
    return _ENTITY.sub(_character, text)


def _character(entity: re.Match[str]) -> str:
    name = entity[0][1:]
    return unescape(entity[0]) if name.startswith("#") else html5.get(name, entity[0])
