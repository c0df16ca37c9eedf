"""Sanitize a language model's text, which other programs may render as Markdown or HTML.

After a prompt injection a model can write an image whose URL contains what it was told: rendering the image leaks it.
So no image, tag or link survives, and no URL except those that occur in the sources.
"""

import re
from collections.abc import Iterable, Set
from typing import Final

LINK_REMOVED: Final = "⟨link removed⟩"

# Invisible characters that change how text is read or shown: control characters except tab and line feed, the soft
# hyphen, bidirectional controls, zero-width spaces, tags, variation selectors except the two used for emoji.
# Joiners stay: Persian, Hindi and many emoji need them. Lone surrogates cannot be encoded in UTF-8.
_INVISIBLE: Final = (
    dict.fromkeys(
        [
            *(code for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)),
            *(0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF),
            *(*range(0xFE00, 0xFE0E), *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0200)),
        ]
    )
    | dict.fromkeys((0x0B, 0x0C, 0x85, 0x2028, 0x2029), "\n")
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)

_RUN = re.compile(r"[!-~]+")
_TRAILING_RUN = re.compile(r"(?<![!-~])[!-~]+\Z")
_SPECIAL = re.compile(r"[\[\]<&\\/:]|www\.", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_ENTITY = re.compile(r"&(?=#?[0-9A-Za-z]{1,32};)")
_IMAGE = re.compile(r"!+(?=\[)")
_DESTINATION = re.compile(r"\](?=\()")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_URL = re.compile(r"(?:[a-z][a-z0-9+.\-]{1,15}:|(?<![a-z0-9:/]))//[!#-;=?-~]+|www\.[!#-;=?-~]+", re.IGNORECASE)
_URL_TRAILING_PUNCTUATION: Final = ".,;:!?'\"*_)]}>"


def strip_invisible(text: str) -> str:
    """Return the text without characters that are invisible to readers but interpreted by models or renderers."""
    return text.translate(_INVISIBLE)


def extract_urls(texts: Iterable[str]) -> frozenset[str]:
    """Return the URLs in these texts."""
    found = (match[0].rstrip(_URL_TRAILING_PUNCTUATION) for text in texts for match in _URL.finditer(text))
    return frozenset(found)


def sanitize(text: str, allowed_urls: Set[str] = frozenset()) -> str:
    """Return the text without URLs that are not allowed, and without images, links and tags of Markdown or HTML.

    Apply `strip_invisible` to the text first: invisible characters could break up the constructs to be found.
    """
    return _RUN.sub(lambda run: _sanitize_run(run[0], allowed_urls), text)


def stable_end(text: str) -> int:
    """Return the length of the prefix of an incomplete text whose sanitized form no continuation can change.

    Every dangerous construct lies within one run of ASCII characters without whitespace.
    """
    run = _TRAILING_RUN.search(text)
    return run.start() if run else len(text)


def _sanitize_run(run: str, allowed_urls: Set[str]) -> str:
    if not _SPECIAL.search(run):
        return run
    # Markdown decodes escapes and entities in URLs, so these are broken up first.
    run = _ENTITY.sub("& ", _ESCAPE.sub("", run))
    run = _TAG.sub("< ", _DESTINATION.sub("] ", _IMAGE.sub("", run)))
    return _URL.sub(lambda match: _remove_unknown_url(match[0], allowed_urls), run)


def _remove_unknown_url(url: str, allowed_urls: Set[str]) -> str:
    stripped = url.rstrip(_URL_TRAILING_PUNCTUATION)
    return url if stripped in allowed_urls else LINK_REMOVED + url[len(stripped) :]
