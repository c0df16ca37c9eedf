"""Query history: what was asked, what was found and answered, and what the user thought of it.

It holds the text of questions. Who keeps it is told so in docs/history.md.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from mh_common.models.answers import Usage
from mh_common.models.base import USER_ID_PATTERN, ConversationId, QueryText, WireModel, json_of_at_most, without_nul

USER_ID_HEADER = "X-User-Id"
"""Names the user. Whoever stands before the platform and logs users in sets it; the platform believes it."""

MAX_FILTERS_BYTES = 65_536

UserId = Annotated[str, StringConstraints(pattern=USER_ID_PATTERN)]
_Label = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(without_nul)]

INTERNAL_HISTORY = "/internal/history"
"""Path below which rag-api tells of answers and feedback; no gateway forwards it."""


class Rating(StrEnum):
    """Whether an answer helped."""

    UP = "up"
    DOWN = "down"


class FeedbackCreate(WireModel):
    """What a user thinks of an answer. Given again, it takes the place of what was given before."""

    rating: Rating
    comment: (
        Annotated[
            str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(without_nul)
        ]
        | None
    ) = Field(default=None, description="Up to 2,000 characters. Do not name patients.")


class Feedback(BaseModel):
    """Feedback as stored."""

    rating: Rating
    comment: str | None
    at: AwareDatetime


class HistoryHit(WireModel):
    """A conversation that the answer rests on, in the version that was shown."""

    id: ConversationId
    version: int = Field(ge=1, le=2**31 - 1)
    score: float = Field(ge=0, le=1, allow_inf_nan=False)


class _EntryFields(WireModel):
    answer_id: UUID = Field(description="The answer's id, made by whoever answered.")
    user_id: UserId | None = Field(default=None, description="Who asked; null where nobody said.")
    question: QueryText = Field(description="As it was asked.")
    standalone_query: QueryText | None = Field(
        default=None, description="What was searched for, where a follow-up question was made to stand alone."
    )
    filters: Annotated[dict[str, JsonValue], AfterValidator(json_of_at_most(MAX_FILTERS_BYTES))] = Field(
        default={}, description="What narrowed the search; up to 64 KiB of JSON."
    )
    hits: list[HistoryHit] = Field(default=[], max_length=100, description="Best first.")
    answer: Annotated[str, StringConstraints(max_length=200_000), AfterValidator(without_nul)]
    model: _Label = Field(description="What wrote the answer.")
    prompt_version: _Label | None = None
    usage: Usage = Field(default=Usage(), description="Tokens that the language model counted.")
    latency_ms: float = Field(ge=0, le=1e9, allow_inf_nan=False, description="From the question to the whole answer.")


class HistoryEntryCreate(_EntryFields):
    """An answer to remember. The same `answer_id` again, with the same content, changes nothing."""


class HistoryEntry(_EntryFields):
    """An answer as remembered."""

    model_config = ConfigDict(extra="ignore")

    created_at: AwareDatetime = Field(description="When it was stored: UTC, microseconds.")
    feedback: Feedback | None = None


class HistoryPage(BaseModel):
    """One page of a user's history, newest first."""

    items: list[HistoryEntry]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class HistoryDeleted(BaseModel):
    """How many entries are gone now."""

    deleted: int
