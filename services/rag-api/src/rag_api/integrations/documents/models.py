"""What GET /documents takes and answers."""

import datetime as dt
from typing import Self

from mh_common.models import Conversation, WireModel
from pydantic import BaseModel, Field

from rag_api.integrations.links import source_link


class DocumentsQuery(WireModel):
    """A page of the list."""

    limit: int = Field(default=50, ge=1, le=100, description="Most documents on the page.")
    cursor: str | None = Field(default=None, max_length=1000, description="`next_cursor` of the page before.")
    include_total: bool = Field(default=False, description="Count all documents as well.")


class Document(BaseModel):
    """A conversation."""

    id: int
    question: str
    answer: str
    link: str = Field(description="Where the conversation comes from or, if nobody said, can be read.")
    date: dt.date = Field(description="Day of the source or, if nobody said, in UTC on which it was added.")

    @classmethod
    def of(cls, row: Conversation, public_url: str) -> Self:
        """Return a conversation as these tools take it."""
        return cls(
            id=row.id,
            question=row.question,
            answer=row.answer,
            link=source_link(row, public_url),
            date=row.source_date or row.created_at.date(),
        )


class Documents(BaseModel):
    """A page, by id."""

    documents: list[Document]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
    total: int | None = Field(default=None, description="Number of all documents; only with `include_total`.")
