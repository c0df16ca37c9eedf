"""Units: what the index consists of. Each is a part of a source, such as a conversation.

A conversation is one unit. A source of another kind may have several, numbered from 0. Outbox, index states, jobs, runs
and the index itself refer to units only; what is specific to a kind is in its own modules.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field, StringConstraints

MAX_ID: Final = 2**63 - 1
MAX_ORDINAL: Final = 2**31 - 1
MAX_KIND: Final = 32
"""Maximum characters of a kind's name."""

UnitKind = Annotated[str, StringConstraints(pattern=rf"^[a-z_]{{1,{MAX_KIND}}}$")]
"""Name of a kind. Not an enum: kinds are registered in the services."""
SourceId = Annotated[int, Field(ge=1, le=MAX_ID)]
Ordinal = Annotated[int, Field(ge=0, le=MAX_ORDINAL)]

CONVERSATION: Final = "conversation"


class UnitKey(NamedTuple):
    """Key of a unit. Keys of one kind sort by source and ordinal.

    Attributes:
        kind: kind of the source.
        source_id: key of the source, unique within its kind.
        ordinal: place of the unit in its source, from 0.
    """

    kind: str
    source_id: int
    ordinal: int


class Unit(NamedTuple):
    """A version of a unit."""

    key: UnitKey
    version: int


class IndexStatus(StrEnum):
    """Whether the vector index has the current version: of a unit, or of all units of a source."""

    PENDING = "pending"
    INDEXED = "indexed"
    FAILED = "failed"


def conversation_unit(conversation_id: int) -> UnitKey:
    """Return the one unit of a conversation."""
    return UnitKey(CONVERSATION, conversation_id, 0)


def conversation_units(conversation_ids: Iterable[int]) -> list[UnitKey]:
    """Return the units of these conversations, in this order."""
    return [conversation_unit(key) for key in conversation_ids]


def before_first(kind: str) -> UnitKey:
    """Return a key that sorts before every unit of this kind, and is none."""
    return UnitKey(kind, 0, 0)


def last_key(kind: str) -> UnitKey:
    """Return the last key that a unit of this kind can have."""
    return UnitKey(kind, MAX_ID, MAX_ORDINAL)


def preceding_key(key: UnitKey) -> UnitKey:
    """Return the key after which this one is the first."""
    if key.ordinal:
        return key._replace(ordinal=key.ordinal - 1)
    return UnitKey(key.kind, key.source_id - 1, MAX_ORDINAL)


def status_of(states: Collection[IndexStatus]) -> IndexStatus:
    """Return the status of a source from those of its units: failed if one failed, else pending if one is pending.

    A source without units counts as indexed, since nothing is missing from the index.
    """
    for status in (IndexStatus.FAILED, IndexStatus.PENDING):
        if status in states:
            return status
    return IndexStatus.INDEXED
