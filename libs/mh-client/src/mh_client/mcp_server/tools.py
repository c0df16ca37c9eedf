"""The tools `search`, `fetch` and `ask`, independent of the transport."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, Protocol, TypeVar

from mh_common.models import (
    Answer,
    Conversation,
    ConversationMetadata,
    FieldProblem,
    SearchFilters,
    SearchResult,
    SentenceSupport,
)
from pydantic import BaseModel

from mh_client._base import validated
from mh_client._errors import InvalidInputError
from mh_client.mcp_server.models import (
    METADATA,
    AskInput,
    AskOutput,
    CitedSource,
    FetchInput,
    FetchOutput,
    FoundConversation,
    SearchInput,
    SearchOutput,
)

_SHOW_FIRST: Final = (
    "If `risk_notice` is not null, show the user its summary, questions and helplines first and unchanged, before "
    "anything else."
)
MAX_TITLE_LENGTH: Final = 100
MAX_EXCERPT_LENGTH: Final = 400

A = TypeVar("A", bound=BaseModel)


class Platform(Protocol):
    """What the tools need from the platform. Each method raises MHError, whose message is shown to the caller."""

    async def search(self, query: str, limit: int, filters: SearchFilters) -> SearchResult:
        """Search by free text among the conversations that match the filters, best first, one per question."""
        ...

    async def find(self, key: int) -> Conversation | None:
        """Return the current version of a conversation, its texts as plain text; None if it does not exist."""
        ...

    async def answer(self, question: str, top_k: int) -> Answer:
        """Suggest how to help a patient."""
        ...

    def link(self, key: int) -> str:
        """Return the URL of a conversation."""
        ...


@dataclass(frozen=True)
class Tool(Generic[A]):
    """A tool: its description for the model, and its implementation."""

    title: str
    description: str
    input: type[A]
    output: type[BaseModel]
    run: Callable[[Platform, A], Awaitable[BaseModel]]

    async def call(self, platform: Platform, arguments: Mapping[str, Any]) -> BaseModel:
        """Return the result. Raises MHError, in particular InvalidInputError for invalid arguments."""
        return await self.run(platform, validated(self.input, arguments))


async def _search(platform: Platform, asked: SearchInput) -> SearchOutput:
    filters = SearchFilters(**{name: getattr(asked, name) for name in SearchFilters.model_fields})
    result = await platform.search(asked.query, asked.limit, filters)
    results = [
        FoundConversation(
            **_reference(platform, hit.id, hit.question, hit.answer, hit.score),
            question_sentiment=hit.question_sentiment,
            answer_sentiment=hit.answer_sentiment,
            created_at=hit.created_at,
            **{name: getattr(hit, name) for name in ConversationMetadata.model_fields},
        )
        for hit in result.hits
    ]
    return SearchOutput(
        risk=result.risk,
        risk_notice=result.risk_notice,
        results=results,
        relevant=bool(results) and result.hits[0].relevance >= (result.relevance_threshold or 0),
        scores_calibrated=result.scores_calibrated,
        index_rebuilding=result.index_rebuilding,
    )


async def _fetch(platform: Platform, asked: FetchInput) -> FetchOutput:
    row = await platform.find(int(asked.id))
    if row is None:
        message = f"there is no conversation {asked.id}; it may have been deleted. Use an id from a new search"
        raise InvalidInputError([FieldProblem(field="id", message=message)])
    return FetchOutput(
        id=asked.id,
        title=_excerpt(row.question, MAX_TITLE_LENGTH),
        text=f"Question:\n{row.question}\n\nAnswer:\n{row.answer}",
        url=platform.link(row.id),
        metadata={name: _format(value) for name in METADATA if (value := getattr(row, name)) is not None},
    )


def _format(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


async def _ask(platform: Platform, asked: AskInput) -> AskOutput:
    answer = await platform.answer(asked.question, asked.top_k)
    sources = [
        CitedSource(
            **_reference(platform, source.id, source.question, source.answer, source.score),
            number=number,
        )
        for number, source in enumerate(answer.sources, start=1)
    ]
    return AskOutput(
        risk=answer.risk,
        risk_notice=answer.risk_notice,
        answer=answer.answer,
        sources=sources,
        relevant=bool(sources),
        held_back=answer.held_back,
        grounded=answer.grounded,
        uncited_sentences=answer.uncited_sentences,
        unsupported_sentences=[
            one.text for one in answer.checked_sentences if one.support is SentenceSupport.UNSUPPORTED
        ],
        model=answer.model,
        notice=answer.notice,
        index_rebuilding=answer.index_rebuilding,
    )


def _reference(platform: Platform, key: int, question: str, answer: str, score: float) -> dict[str, Any]:
    return {
        "id": str(key),
        "title": _excerpt(question, MAX_TITLE_LENGTH),
        "url": platform.link(key),
        "score": score,
        "question": _excerpt(question, MAX_EXCERPT_LENGTH),
        "answer": _excerpt(answer, MAX_EXCERPT_LENGTH),
    }


def _excerpt(text: str, length: int) -> str:
    """Return the text on one line, truncated to this many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


TOOLS: Final[Mapping[str, Tool[Any]]] = {
    "search": Tool(
        title="Search counseling conversations",
        description="Search conversations between patients and mental health counselors by meaning and by keywords. "
        "Each result has the start of the patient's question and of the counselor's answer, and a score from 0 to 1; "
        f"if `relevant` is false, nothing helpful was found. {_SHOW_FIRST} Only `query` is required; omit the filters "
        "unless the user asks for them. Read a result in full with `fetch` before you rely on it. For a suggestion "
        "based on several conversations use `ask`.",
        input=SearchInput,
        output=SearchOutput,
        run=_search,
    ),
    "fetch": Tool(
        title="Read a conversation",
        description="Return the current text of one conversation: the patient's question and the counselor's answer. "
        "Takes an id from the results of `search` or the sources of `ask`.",
        input=FetchInput,
        output=FetchOutput,
        run=_fetch,
    ),
    "ask": Tool(
        title="Ask how to help a patient",
        description="Return a suggestion for a counselor on how to help a patient, based only on the most similar "
        f"conversations. {_SHOW_FIRST} The answer cites its sources as [1], [2], and `sources` lists them by number: "
        "keep the citations. If `relevant` is false, there is no suggestion: tell the user what `answer` says, and do "
        "not invent one. Earlier questions are not remembered. Can take up to a minute.",
        input=AskInput,
        output=AskOutput,
        run=_ask,
    ),
}
"""By name, in the order in which they are listed."""
