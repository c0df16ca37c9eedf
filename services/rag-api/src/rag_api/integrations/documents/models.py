"""Request and response models of GET /documents."""

import datetime as dt
from typing import Self

from mh_common.models import Conversation, FlagParameter, NumberParameter, WireModel
from pydantic import BaseModel, Field

from rag_api.integrations.links import source_link


class DocumentsQuery(WireModel):
    """Query parameters of GET /documents."""

    limit: NumberParameter = Field(default=50, ge=1, le=100, description="Maximum documents on the page.")
    cursor: str | None = Field(default=None, max_length=1000, description="`next_cursor` of the previous page.")
    include_total: FlagParameter = Field(default=False, description="Whether to include the total number of documents.")


class Document(BaseModel):
    """A conversation."""

    id: int
    question: str
    answer: str
    link: str = Field(
        description="Source URL of the conversation or, if it has none, the URL of the conversation itself."
    )
    date: dt.date = Field(
        description="Date of the source or, if it has none, the UTC date on which the conversation was added."
    )

    @classmethod
    def of(cls, row: Conversation, public_url: str) -> Self:
        """Return a conversation as a document."""
        shown = row.as_read()
        return cls(
            id=row.id,
            question=shown.question,
            answer=shown.answer,
            link=source_link(row, public_url),
            date=row.source_date or row.created_at.date(),
        )


class Documents(BaseModel):
    """A page of documents, ordered by id."""

    documents: list[Document]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page; null on the last page.")
    total: int | None = Field(default=None, description="Total number of documents; only with `include_total`.")
