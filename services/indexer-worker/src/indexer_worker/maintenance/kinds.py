"""The kinds of units that a worker knows, each with what keeps the index in step with it."""

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
    """What does the work of one kind."""

    index: IndexService
    repository: VectorRepository
    reconciler: Reconciler
    rebuilder: Rebuilder


Kinds: TypeAlias = Mapping[str, KindServices]
"""By name, in the order in which a run goes through them."""


def services_of(kinds: Kinds, kind: str) -> KindServices:
    """Return what does the work of a kind.

    Raises:
        IndexingError: this worker knows no such kind; one of a later release may.
    """
    if kind not in kinds:
        raise IndexingError(f"This worker knows no units of kind {kind}")
    return kinds[kind]


def next_kind(kinds: Kinds, kind: str) -> str | None:
    """Return the kind that a run goes through after this one; None after the last."""
    names = list(kinds)
    place = names.index(kind) + 1
    return names[place] if place < len(names) else None
