"""Puts together what several recognizers found in one text."""

from collections.abc import Iterable
from typing import Final

from mh_common.identifiers.protocol import Identifier, IdentifierKind

_JOINING: Final = frozenset({",", ", ", " ", ",\n", "\n", " - "})
"""What stands between the parts of one address."""


def without_overlaps(found: Iterable[Identifier]) -> list[Identifier]:
    """Return spans in order that cover every character that was found; those that overlap become one.

    A united span has the kind of its longest part; of equally long ones, `OTHER` comes last.
    """
    united: list[Identifier] = []
    longest = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end, one.kind is IdentifierKind.OTHER)):
        if one.start >= one.end:
            continue
        if not united or one.start >= united[-1].end:
            united.append(one)
            longest = one.end - one.start
            continue
        last = united[-1]
        kind = last.kind
        if one.end - one.start > longest:
            longest, kind = one.end - one.start, one.kind
        united[-1] = Identifier(last.start, max(last.end, one.end), kind)
    return united


def with_joined_addresses(found: Iterable[Identifier], text: str) -> list[Identifier]:
    """Return the spans, with those of one address as one: "482 Maple Street", "Dayton, OH 45402"."""
    joined: list[Identifier] = []
    for one in found:
        if (
            joined
            and one.kind is joined[-1].kind is IdentifierKind.PLACE
            and text[joined[-1].end : one.start] in _JOINING
        ):
            joined[-1] = Identifier(joined[-1].start, one.end, IdentifierKind.PLACE)
        else:
            joined.append(one)
    return joined
