"""Units, the items of the index. Each is a part of a source, which is a row that users know, such as a conversation.

A conversation is one unit. A source of another kind may have several, numbered from 0. Outbox, index states, jobs, runs
and the index itself deal only with units; what a unit contains is known only to the modules of its kind.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field, StringConstraints

MAX_ID: Final = 2**63 - 1
MAX_ORDINAL: Final = 2**31 - 1
MAX_KIND: Final = 32
"""Maximum length of a kind's name in characters."""

UnitKind = Annotated[str, StringConstraints(pattern=rf"^[a-z_]{{1,{MAX_KIND}}}$")]
"""Name of a kind. Not an enum: the kinds are registered in the services."""
SourceId = Annotated[int, Field(ge=1, le=MAX_ID)]
Ordinal = Annotated[int, Field(ge=0, le=MAX_ORDINAL)]

CONVERSATION: Final = "conversation"


class UnitKey(NamedTuple):
    """The key of a unit. Keys of one kind sort by source and ordinal.

    Attributes:
        kind: the kind of the source.
        source_id: id of the source, unique within its kind.
        ordinal: position of the unit in its source, from 0.
    """

    kind: str
    source_id: int
    ordinal: int


class Unit(NamedTuple):
    """A unit and its version."""

    key: UnitKey
    version: int


class IndexStatus(StrEnum):
    """Whether the vector index contains the current version of a unit, or of all units of a source."""

    PENDING = "pending"
    INDEXED = "indexed"
    FAILED = "failed"


def conversation_unit(conversation_id: int) -> UnitKey:
    """Return the key of a conversation's only unit."""
    return UnitKey(CONVERSATION, conversation_id, 0)


def conversation_units(conversation_ids: Iterable[int]) -> list[UnitKey]:
    """Return the keys of these conversations' units, in this order."""
    return [conversation_unit(key) for key in conversation_ids]


def before_first(kind: str) -> UnitKey:
    """Return a key that sorts before every unit of this kind and belongs to no unit."""
    return UnitKey(kind, 0, 0)


def last_key(kind: str) -> UnitKey:
    """Return the greatest possible key of this kind."""
    return UnitKey(kind, MAX_ID, MAX_ORDINAL)


def preceding_key(key: UnitKey) -> UnitKey:
    """Return the greatest possible key that sorts before this one."""
    if key.ordinal:
        return key._replace(ordinal=key.ordinal - 1)
    return UnitKey(key.kind, key.source_id - 1, MAX_ORDINAL)


def status_of(states: Collection[IndexStatus]) -> IndexStatus:
    """Return the status of a source, given those of its units: failed if any failed, else pending if any is pending.

    A source without units counts as indexed, as the index lacks nothing.
    """
    for status in (IndexStatus.FAILED, IndexStatus.PENDING):
        if status in states:
            return status
    return IndexStatus.INDEXED
