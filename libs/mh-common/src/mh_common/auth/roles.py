"""The scopes that routes ask for, and which of them each role has."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """A permission. Every route of the platform names those that it needs."""

    CONVERSATIONS_READ = "conversations:read"
    """Read conversations, one by one and in lists."""
    CONVERSATIONS_WRITE = "conversations:write"
    """Add and change conversations, import them, and take an import back."""
    CONVERSATIONS_DELETE = "conversations:delete"
    CONVERSATIONS_EXPORT = "conversations:export"
    """Download all conversations as a file."""
    SEARCH = "search"
    """Search conversations, and see their neighbours."""
    ANSWERS = "answers"
    """Ask how to help a patient, and rate the answers."""
    HISTORY_OWN = "history:own"
    """Read and delete one's own questions and answers."""
    EXPERIMENTS_READ = "experiments:read"
    """Read evaluations of search and answers. They hold figures, no texts."""
    EXPERIMENTS_WRITE = "experiments:write"
    INDEX_OPERATE = "index:operate"
    """See the state of the search index, check and rebuild it."""
    USERS_MANAGE = "users:manage"
    """Add, change and disable people and service accounts, and make keys for them."""
    ON_BEHALF_OF = "on-behalf-of"
    """Act for people without an account, whom each request names (ADR 65). No role has it: administrators give it to
    keys of service accounts."""
    INTERNAL = "internal"
    """What the platform's own services call. No role has it, and no key of a person."""


class Role(StrEnum):
    """What a person or service account does on the platform."""

    COUNSELOR = "counselor"
    """Searches, reads and asks."""
    CURATOR = "curator"
    """Looks after the conversations: edits, imports, exports."""
    OPERATOR = "operator"
    """Looks after the index. Reads no conversations."""
    ADMIN = "admin"
    """Manages people and keys, and may do everything else."""


_COUNSELOR: Final = frozenset({Scope.CONVERSATIONS_READ, Scope.SEARCH, Scope.ANSWERS, Scope.HISTORY_OWN})
_CURATOR: Final = _COUNSELOR | {
    Scope.CONVERSATIONS_WRITE,
    Scope.CONVERSATIONS_DELETE,
    Scope.CONVERSATIONS_EXPORT,
    Scope.EXPERIMENTS_READ,
    Scope.EXPERIMENTS_WRITE,
}
_OPERATOR: Final = frozenset({Scope.INDEX_OPERATE, Scope.EXPERIMENTS_READ})

SCOPES_OF: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.COUNSELOR: _COUNSELOR,
    Role.CURATOR: _CURATOR,
    Role.OPERATOR: _OPERATOR,
    Role.ADMIN: _CURATOR | _OPERATOR | {Scope.USERS_MANAGE},
}
"""The scopes of each role. A key has at most those of its owner's role, as it is at the time of the request."""

GIVEN_TO_KEYS: Final = frozenset({Scope.ON_BEHALF_OF})
"""Scopes in no role, which administrators give to keys of service accounts, and to nothing else."""


def key_scopes(role: Role, granted: frozenset[Scope], *, of_service: bool) -> frozenset[Scope]:
    """Return what a key may do now: what it was granted, as far as its owner's role has it.

    What is in no role is not cut to one: that it was granted shows that an administrator made the key. It counts for
    keys of service accounts only, and until the key is revoked.
    """
    return granted & (SCOPES_OF[role] | GIVEN_TO_KEYS if of_service else SCOPES_OF[role])


_BY_NAME: Final = {scope.value: scope for scope in Scope}


def known_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes with these names, without those that this release does not know."""
    return frozenset(_BY_NAME[name] for name in names if name in _BY_NAME)


SHOWS_CONVERSATIONS: Final = frozenset({Scope.SEARCH, Scope.ANSWERS, Scope.CONVERSATIONS_EXPORT})


def missing_companions(scopes: Collection[Scope]) -> frozenset[Scope]:
    """Return the scopes without which these would be of no use: search, answers and exports show conversations."""
    needs_reading = not SHOWS_CONVERSATIONS.isdisjoint(scopes)
    return frozenset({Scope.CONVERSATIONS_READ}) - set(scopes) if needs_reading else frozenset()
