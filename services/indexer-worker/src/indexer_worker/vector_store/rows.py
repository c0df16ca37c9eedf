"""Builds the row of a conversation in the index."""

from collections.abc import Sequence

from mh_common import vector_index as fields
from mh_common.field_values import to_index_value
from mh_common.models import Conversation
from mh_common.stemming import indexed_words

from indexer_worker.vector_store.layout import Row


def vector_row(conversation: Conversation, question: Sequence[float], text: Sequence[float]) -> Row:
    """Return a conversation's row, given the unit vectors of its question and of its `embedded_text`."""
    return {
        fields.ID: conversation.id,
        fields.EMBEDDING: list(question),
        fields.TEXT_EMBEDDING: list(text),
        fields.QUESTION: fields.truncate_to_bytes(conversation.question),
        fields.TEXT: fields.truncate_to_bytes(fields.embedded_text(conversation.question, conversation.answer)),
        fields.WORDS: fields.truncate_to_bytes(_words(conversation)),
        fields.QUESTION_HASH: fields.question_hash(conversation.question),
        fields.VERSION: conversation.version,
        **{field.name: to_index_value(field, getattr(conversation, field.name)) for field in fields.FILTERABLE},
    }


def _words(conversation: Conversation) -> str:
    # Truncated before stemming as well, so that a text of a million characters costs no more than what the field holds.
    longest = fields.MAX_VARCHAR_BYTES
    return indexed_words(conversation.question[:longest], conversation.answer[:longest])
