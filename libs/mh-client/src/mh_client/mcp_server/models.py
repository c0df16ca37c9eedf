"""What the tools take and return.

`search` and `fetch` return at least what ChatGPT expects of tools with these names: `results` with id, title and url;
id, title, text, url and metadata. Ids are strings there.
"""

from typing import Annotated, Final

from mh_common.fields import CREATED_AT, ID, NAMES, Sentiment, listed
from mh_common.models import MAX_ID, ConversationDetails, QueryText, SearchFilters, WireModel
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

_ID_PATTERN: Final = "^[1-9][0-9]{0,18}$"
METADATA: Final = [name for name in NAMES if name != ID.name]
"""What `fetch` tells of a conversation besides its texts."""
METADATA.insert(METADATA.index(CREATED_AT.name), "version")
_STARTS: Final = "The first characters of long texts; `fetch` has the whole."


def _known_form(value: str) -> str:
    key = value.strip()
    # Digits of other scripts are decimal too.
    if not (key.isascii() and key.isdecimal() and 1 <= int(key[:20]) <= MAX_ID):
        raise ValueError("must be the id of a conversation as `search` returns it, such as 42")
    return key


class _SearchInput(WireModel):
    query: QueryText = Field(
        description="What to look for, in plain words, as a question or a description of the patient's situation. 1 to "
        "8,000 characters."
    )
    limit: int = Field(default=10, ge=1, le=100, description="Most results to return.")


class SearchInput(SearchFilters, _SearchInput):
    """Arguments of `search`."""


class FetchInput(WireModel):
    """Arguments of `fetch`."""

    # Models tend to send what looks like a number as one.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Annotated[str, AfterValidator(_known_form)] = Field(
        description="Id of a conversation, from the results of `search` or the sources of `ask`.",
        json_schema_extra={"pattern": _ID_PATTERN},
    )


class AskInput(WireModel):
    """Arguments of `ask`."""

    question: QueryText = Field(
        description="A counselor's question on how to help a patient, complete in itself. 1 to 8,000 characters."
    )
    top_k: int = Field(default=3, ge=1, le=20, description="Most conversations to ground the answer in.")


class Reference(BaseModel):
    """A conversation that was found."""

    id: str = Field(description="For `fetch`.")
    title: str = Field(description="The patient's question, shortened.")
    url: str = Field(description="Where the whole conversation is, as JSON; to cite it by.")
    score: float = Field(ge=0, le=1, description="How likely the conversation is about what was asked.")
    question: str = Field(description=f"What the patient asked. {_STARTS}")
    answer: str = Field(description=f"What the counselor answered. {_STARTS}")


class _Found(Reference):
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    created_at: AwareDatetime


class Found(ConversationDetails, _Found):
    """One result of a search."""


class SearchOutput(BaseModel):
    """What `search` returns."""

    results: list[Found] = Field(description="Best first, one for each distinct question.")
    relevant: bool = Field(description="False: nothing was found, or not even the best result is likely to help.")
    scores_calibrated: bool = Field(description="False: scores order the results, and mean no more than that.")
    index_rebuilding: bool = Field(description="True: results may be missing for now. None is wrong.")


class FetchOutput(BaseModel):
    """What `fetch` returns."""

    id: str = Field(description="As it was asked for.")
    title: str = Field(description="The patient's question, shortened.")
    text: str = Field(description="The whole conversation: what the patient asked and what the counselor answered.")
    url: str = Field(description="Where the conversation is, as JSON; to cite it by.")
    metadata: dict[str, str] = Field(description=f"{listed(METADATA, ' and ')}, as far as they are known.")


class CitedSource(Reference):
    """A conversation that an answer rests on."""

    number: int = Field(ge=1, description="How the answer cites it: 1 stands for [1].")


class AskOutput(BaseModel):
    """What `ask` returns."""

    answer: str = Field(description="Cites its sources as [1], [2].")
    sources: list[CitedSource] = Field(description="What the answer rests on, in the order of their numbers.")
    relevant: bool = Field(description="False: nothing relevant was found, and the answer says just that.")
    grounded: bool = Field(description="Every sentence of the answer cites a source.")
    uncited_sentences: list[str] = Field(description="Those that cite none: what nothing may support.")
    model: str = Field(
        description="Language model that wrote it; `extractive`: sentences of the sources are quoted; `none`: nothing "
        "relevant was found."
    )
    notice: str = Field(description="What kind of advice this is; to be shown with it.")
    index_rebuilding: bool = Field(description="True: sources may be missing for now. None is wrong.")
