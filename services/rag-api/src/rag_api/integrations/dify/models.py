"""Request and response models of Dify's External Knowledge API.

The contract: https://docs.dify.ai/en/self-host/use-dify/knowledge/external-knowledge-api. Unknown keys, which a later
version of Dify may add, are ignored, except in filters: ignoring part of a filter would return too much.
"""

from typing import Annotated, Any, Final, Literal, Self

from mh_common.fields import NAMES
from mh_common.models import (
    AtMost,
    ConversationMetadata,
    QueryText,
    RequestModel,
    Risk,
    SearchHit,
    SearchRequest,
    SearchResult,
    Sentiment,
    UtcTime,
    WireModel,
)
from mh_common.wording import join_names
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from rag_api.integrations.links import conversation_link
from rag_api.integrations.titles import make_title
from rag_api.search.approval import HeldBack

MAX_CONDITIONS: Final = 50
MAX_NAMES: Final = len(NAMES)
"""Maximum names in one condition: the number of fields."""
MAX_VALUES: Final = 1000
"""Maximum values in all conditions together."""
HELD_BACK_TITLE: Final = "No conversation may be used"

TITLE_LENGTH: Final = 80

Operator = Literal[
    "contains",
    "not contains",
    "start with",
    "end with",
    "is",
    "is not",
    "in",
    "not in",
    "empty",
    "not empty",
    "=",
    "≠",
    ">",
    "<",
    "≥",
    "≤",
    "before",
    "after",
    "null",
    "not null",
]
"""The last two are the earlier names of `empty` and `not empty`."""

Scalar = str | int | float


def _with_message(message: str) -> WrapValidator:
    """Replace the errors for each member of a union by one message."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(message) from None

    return WrapValidator(check)


class MetadataFilter(WireModel):
    """One condition on the conversations to search."""

    name: Annotated[
        str | Annotated[list[str], AtMost(MAX_NAMES, least=1)],
        _with_message(f"must be the name of a field, or a list of 1 to {MAX_NAMES} such names"),
    ] = Field(
        description=f"{join_names([f'`{name}`' for name in NAMES], ' or ')}. Of several names, at least one must "
        "match; with a `not` operator or `≠`, all must."
    )
    comparison_operator: Operator
    value: Annotated[
        Scalar | Annotated[list[Scalar], AtMost(MAX_VALUES)] | None,
        _with_message(f"must be a string, a number, or a list of at most {MAX_VALUES:,} of them"),
    ] = Field(
        default=None,
        description="A sentiment or, for `contains`, `start with` and `end with`, part of its name, ignoring case; "
        "a text or part of it, case-sensitive. A time is ISO 8601 with a time zone; a day, month or year as a "
        "whole; or seconds since 1970. `in` and `not in` take a list, or a string with commas.",
    )

    def count_values(self) -> int:
        """Return the number of values, including those separated by commas in a string."""
        if isinstance(self.value, str):
            return self.value.count(",") + 1
        return len(self.value) if isinstance(self.value, list) else 1


class MetadataCondition(WireModel):
    """Conditions on the conversations to search. Without any, all are searched."""

    logical_operator: Literal["and", "or"] | None = Field(default="and", description="null means `and`.")
    conditions: Annotated[list[MetadataFilter], AtMost(MAX_CONDITIONS)] | None

    @field_validator("conditions")
    @classmethod
    def _limit_values(cls, conditions: list[MetadataFilter] | None) -> list[MetadataFilter] | None:
        if sum(one.count_values() for one in conditions or ()) > MAX_VALUES:
            raise ValueError(f"must have at most {MAX_VALUES} values in all conditions together")
        return conditions


class RetrievalSetting(RequestModel):
    """Number and minimum score of the records."""

    top_k: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Maximum number of records; null: 10."
    )
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Minimum score of a record; null or 0: no minimum."
    )


class RetrievalRequest(RequestModel):
    """A retrieval request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "knowledge_id": "conversations",
                    "query": "patient cannot sleep before exams",
                    "retrieval_setting": {"top_k": 3, "score_threshold": 0.5},
                    "metadata_condition": {
                        "logical_operator": "and",
                        "conditions": [
                            {"name": "question_sentiment", "comparison_operator": "is", "value": "negative"},
                            {"name": "created_at", "comparison_operator": "after", "value": "2026-03-01"},
                        ],
                    },
                }
            ]
        }
    )

    knowledge_id: str = Field(description="Always `conversations`.")
    query: QueryText = Field(description="1 to 8,000 characters after trimming.")
    retrieval_setting: RetrievalSetting = RetrievalSetting()
    metadata_condition: MetadataCondition | None = None

    def search_request(self) -> SearchRequest:
        """Return the equivalent search request, without the metadata condition."""
        setting = self.retrieval_setting
        request = SearchRequest(query=self.query, plain_query=True, similarity_threshold=setting.score_threshold)
        return request if setting.top_k is None else request.model_copy(update={"limit": setting.top_k})


class _Metadata(BaseModel):
    id: int
    link: str = Field(description="URL of the conversation.")
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    created_at: UtcTime
    updated_at: UtcTime
    risk: Risk = Field(description="What screening for risk noticed in the query; the same in each record.")
    risk_summary: str | None = Field(
        default=None, description="The notice of that risk in one line, to show first; omitted if there is none."
    )


class HeldBackMetadata(BaseModel):
    """Metadata of the record that says why there is no other."""

    risk: Risk = Field(description="What screening for risk noticed in the query.")
    risk_summary: str | None = Field(
        default=None, description="The notice of that risk in one line, to show first; omitted if there is none."
    )
    held_back: int = Field(description="Conversations that a curator has to approve first; at most 20 are counted.")


class RecordMetadata(ConversationMetadata, _Metadata):
    """Metadata of a conversation, and the risk in the query. Fields without a value are omitted."""


class Record(BaseModel):
    """A conversation that was found; or why none may be used, if it is the only record."""

    content: str = Field(description="Question and answer.")
    score: float = Field(ge=0, le=1, description="The same as `score` in /api/v1/search.")
    title: str = Field(description="The beginning of the question.")
    metadata: RecordMetadata | HeldBackMetadata

    @classmethod
    def of_held_back(cls, held_back: HeldBack, result: SearchResult) -> Self:
        """Return the record that says why there is no other."""
        return cls(
            content=held_back.as_text(),
            score=held_back.score,
            title=HELD_BACK_TITLE,
            metadata=HeldBackMetadata(
                risk=result.risk,
                risk_summary=result.risk_notice.summary if result.risk_notice else None,
                held_back=held_back.waiting,
            ),
        )

    @classmethod
    def of(cls, hit: SearchHit, result: SearchResult, public_url: str) -> Self:
        """Return a hit of a result as a record."""
        first_word = next(iter(hit.question.split(maxsplit=1)), "")
        return cls(
            content=f"Question: {hit.question}\nAnswer: {hit.answer}",
            score=hit.score,
            # A truncated word would be a useless title.
            title=make_title(hit.question, TITLE_LENGTH)
            if len(first_word) < TITLE_LENGTH
            else f"Conversation {hit.id}",
            metadata=RecordMetadata(
                **{name: value for name, value in hit if name in RecordMetadata.model_fields},
                link=conversation_link(public_url, hit.id),
                risk=result.risk,
                risk_summary=result.risk_notice.summary if result.risk_notice else None,
            ),
        )


class Retrieval(BaseModel):
    """Records, best first, one for each distinct question."""

    records: list[Record]


class DifyError(BaseModel):
    """An error."""

    error_code: int = Field(
        description="1001: the Authorization header is not `Bearer KEY`. 1002: wrong key. 2001: unknown knowledge "
        "base. For other errors, the HTTP status."
    )
    error_msg: str
