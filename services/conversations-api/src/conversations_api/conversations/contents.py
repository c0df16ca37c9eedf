"""What is computed from the texts of a conversation and stored beside them."""

from typing import Any

from mh_common.text import content_hash

from conversations_api.conversations.full_text import markup_words


def computed(question: str, answer: str) -> dict[str, Any]:
    """Return the computed columns of a conversation with these texts, by name.

    `content_hash` finds conversations that are the same; `markup_words` keeps MySQL's full-text filter from finding
    what only the mark-up of HTML says.
    """
    return {"content_hash": content_hash(question, answer), "markup_words": markup_words(question, answer)}
