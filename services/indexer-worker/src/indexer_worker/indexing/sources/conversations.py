"""Conversations: each is one unit, whose question and answer are embedded and screened."""

from collections.abc import Sequence
from typing import Final

from mh_common.fields import FIELDS
from mh_common.models import Conversation, UnitScreening
from mh_common.units import UnitKey, conversation_unit
from mh_common.vector_index import embedded_text

from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.indexing.unit_source import LoadedUnit, Vector
from indexer_worker.vector_store.layout import Row
from indexer_worker.vector_store.rows import vector_row

_DERIVED: Final = [field.name for field in FIELDS if field.derived]


class ConversationSource:
    """The `UnitSource` of conversations."""

    def __init__(self, api: ConversationsAPI) -> None:
        self._api = api

    async def load(self, keys: Sequence[UnitKey]) -> list[LoadedUnit]:
        """See `UnitSource.load`."""
        return [_loaded(row) for row in await self._api.rows([key.source_id for key in keys])]


def _loaded(stored: Conversation) -> LoadedUnit:
    # What is stored may be HTML; what is found and embedded is what a reader sees of it.
    row = stored.as_read()

    def make_row(vectors: Sequence[Vector], screening: UnitScreening) -> Row:
        question, text = vectors
        # What was read with the row is what the last screening found, by other rules perhaps.
        found = {name: getattr(screening, name) for name in _DERIVED}
        return vector_row(row.model_copy(update=found), question, text)

    texts = (row.question, embedded_text(row.question, row.answer))
    return LoadedUnit(conversation_unit(row.id), row.version, texts, (row.question, row.answer), row.answer, make_row)
