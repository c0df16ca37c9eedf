"""Input and output of the tools.

`search` and `fetch` return at least what ChatGPT requires of tools with these names: `results` with id, title and url;
id, title, text, url and metadata. Ids are strings there.
"""

import re
from typing import Annotated, Final

from mh_common.fields import CREATED_AT, ID, NAMES, Sentiment
from mh_common.models import MAX_ID, AnswerRisk, ConversationMetadata, QueryRisk, QueryText, SearchFilters, WireModel
from mh_common.wording import join_names
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

_ID_PATTERN: Final = "^[1-9][0-9]{0,18}$"
METADATA: Final = [name for name in NAMES if name != ID.name]
"""The metadata that `fetch` returns with a conversation's text."""
METADATA.insert(METADATA.index(CREATED_AT.name), "version")
_EXCERPT_NOTE: Final = "Long texts are truncated; `fetch` returns them in full."


def _id_text(value: object) -> str:
    # int alone would also accept digits of any script, signs and underscores; bool is an int.
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch("[0-9]{1,19}", text) or not 1 <= int(text) <= MAX_ID:
        raise ValueError("must be the id of a conversation as `search` returns it, such as 42")
    return text


class _SearchInput(WireModel):
    query: QueryText = Field(
        description="What to search for, in plain language: a question or a description of the patient's situation. 1 "
        "to 8,000 characters."
    )
    limit: int = Field(default=10, ge=1, le=100, description="Maximum number of results.")


class SearchInput(SearchFilters, _SearchInput):
    """Arguments of `search`."""


class FetchInput(WireModel):
    """Arguments of `fetch`."""

    # Models tend to send numeric ids as numbers.
    id: Annotated[str, BeforeValidator(_id_text)] = Field(
        description="Id of a conversation, from the results of `search` or the sources of `ask`.",
        json_schema_extra={"type": ["string", "integer"], "pattern": _ID_PATTERN},
    )


class AskInput(WireModel):
    """Arguments of `ask`."""

    question: QueryText = Field(
        description="A counselor's question about how to help a patient, understandable without context. 1 to 8,000 "
        "characters."
    )
    top_k: int = Field(default=3, ge=1, le=20, description="Maximum number of conversations to ground the answer in.")


class Reference(BaseModel):
    """A conversation that was found."""

    id: str = Field(description="For `fetch`.")
    title: str = Field(description="The patient's question, shortened.")
    url: str = Field(description="URL of the full conversation as JSON; use it for citations.")
    score: float = Field(ge=0, le=1, description="Probability that this is what the query asks for.")
    question: str = Field(description=f"What the patient asked. {_EXCERPT_NOTE}")
    answer: str = Field(description=f"What the counselor answered. {_EXCERPT_NOTE}")


class _FoundFields(Reference):
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    created_at: AwareDatetime


class FoundConversation(ConversationMetadata, _FoundFields):
    """One search result."""


class SearchOutput(QueryRisk):
    """What `search` returns."""

    results: list[FoundConversation] = Field(description="Best first, one per distinct question.")
    relevant: bool = Field(description="False: nothing was found, or even the best result is unlikely to help.")
    scores_calibrated: bool = Field(description="False: only the order of the scores is meaningful.")
    index_rebuilding: bool = Field(description="True: results may be missing for now, but none is wrong.")


class FetchOutput(BaseModel):
    """What `fetch` returns."""

    id: str = Field(description="The requested id.")
    title: str = Field(description="The patient's question, shortened.")
    text: str = Field(description="The full conversation: what the patient asked and what the counselor answered.")
    url: str = Field(description="URL of the conversation as JSON; use it for citations.")
    metadata: dict[str, str] = Field(description=f"{join_names(METADATA, ' and ')}, as far as they are known.")


class CitedSource(Reference):
    """A conversation that an answer is based on."""

    number: int = Field(ge=1, description="Its citation number in the answer: 1 for [1].")


class AskOutput(AnswerRisk):
    """What `ask` returns."""

    answer: str = Field(description="Cites its sources as [1], [2].")
    sources: list[CitedSource] = Field(description="The conversations that the answer is based on, by citation number.")
    relevant: bool = Field(description="False: nothing relevant was found that may be used, and the answer says so.")
    held_back: int = Field(
        description="More than 0: conversations are about this, but a curator has to approve them before an answer may "
        "rest on them."
    )
    grounded: bool = Field(description="Every sentence of the answer cites a source.")
    uncited_sentences: list[str] = Field(description="Sentences that cite no source and may be unsupported.")
    unsupported_sentences: list[str] = Field(
        description="Sentences that cite a source which does not seem to say so, by a rough comparison. Tell the user "
        "to read the source before relying on them."
    )
    model: str = Field(
        description="The language model; `extractive`: sentences of the sources are quoted; `none`: nothing relevant "
        "was found that may be used."
    )
    notice: str = Field(description="Disclaimer to show with the answer.")
    index_rebuilding: bool = Field(description="True: sources may be missing for now, but none is wrong.")
