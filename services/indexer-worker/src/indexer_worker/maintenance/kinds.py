"""The kinds of units that a worker knows, each with its services."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from indexer_worker.errors import IndexingError
from indexer_worker.indexing.service import IndexService
from indexer_worker.maintenance.rebuild import Rebuilder
from indexer_worker.maintenance.reconcile import Reconciler
from indexer_worker.vector_store.repository import VectorRepository


@dataclass(frozen=True)
class KindServices:
    """The services of one kind."""

    index: IndexService
    repository: VectorRepository
    reconciler: Reconciler
    rebuilder: Rebuilder


Kinds: TypeAlias = Mapping[str, KindServices]
"""By name, in the order in which a run processes them."""


def services_of(kinds: Kinds, kind: str) -> KindServices:
    """Return the services of a kind.

    Raises:
        IndexingError: this worker does not know the kind; a worker of a later release may.
    """
    if kind not in kinds:
        raise IndexingError(f"This worker does not know units of kind {kind}")
    return kinds[kind]


def next_kind(kinds: Kinds, kind: str) -> str | None:
    """Return the kind that a run processes after this one; None after the last."""
    names = list(kinds)
    position = names.index(kind) + 1
    return names[position] if position < len(names) else None
