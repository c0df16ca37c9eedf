"""Takes the sting out of a language model's text, which other programs may show as Markdown or HTML.

A model that was talked into it can write an image whose address carries what it was told: showing the image sends it.
So no image, tag or link survives, and no address but those that stand in the sources.
"""

import re
from collections.abc import Iterable, Set
from typing import Final

LINK_REMOVED: Final = "⟨link removed⟩"

# What steers how text is read or shown without being seen: control characters but tab and line feed, the soft hyphen,
# marks that turn the direction of writing, blanks of no width, tags, selectors of variants but the two of emoji.
# Joiners stay: Persian, Hindi and many emoji need them. Halves of surrogate pairs have no UTF-8 form.
_UNSEEN: Final = (
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
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.\-]{1,15}:|(?<![a-z0-9:/]))//[!#-;=?-~]+|www\.[!#-;=?-~]+", re.IGNORECASE)
_AFTER_ADDRESS: Final = ".,;:!?'\"*_)]}>"


def without_unseen(text: str) -> str:
    """Return the text without characters that no reader sees, but a model or a program that shows the text obeys."""
    return text.translate(_UNSEEN)


def addresses(texts: Iterable[str]) -> frozenset[str]:
    """Return the web addresses that stand in these texts."""
    found = (match[0].rstrip(_AFTER_ADDRESS) for text in texts for match in _ADDRESS.finditer(text))
    return frozenset(found)


def defuse(text: str, known: Set[str] = frozenset()) -> str:
    """Return the text with no address but the `known` ones, and no image, link or tag of Markdown or HTML.

    The text must be `without_unseen`, which can hide the parts of a construct from each other.
    """
    return _RUN.sub(lambda run: _defuse_run(run[0], known), text)


def settled(text: str) -> int:
    """Return the end of that part of an unfinished text which is defused the same whatever follows.

    Everything dangerous stands within one run of ASCII without blanks.
    """
    run = _TRAILING_RUN.search(text)
    return run.start() if run else len(text)


def _defuse_run(run: str, known: Set[str]) -> str:
    if not _SPECIAL.search(run):
        return run
    # Markdown decodes escapes and entities in addresses, so these go first.
    run = _ENTITY.sub("& ", _ESCAPE.sub("", run))
    run = _TAG.sub("< ", _DESTINATION.sub("] ", _IMAGE.sub("", run)))
    return _ADDRESS.sub(lambda match: _known_address(match[0], known), run)


def _known_address(address: str, known: Set[str]) -> str:
    bare = address.rstrip(_AFTER_ADDRESS)
    return address if bare in known else LINK_REMOVED + address[len(bare) :]
