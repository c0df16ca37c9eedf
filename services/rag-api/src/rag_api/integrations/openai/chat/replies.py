"""Answers and background prompts as chat completions, whole or in chunks."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import uuid4

from fastapi import Request
from fastapi.sse import format_sse_event
from mh_common.errors import UnavailableError
from mh_common.models import AnswerDone, AnswerToken, AnswerUsage, Source, Usage

from rag_api.answers.language_models import PLATFORM_MODEL, LanguageModels
from rag_api.answers.llm import Completion, LanguageModelError, Sampling
from rag_api.answers.service import AnswerService, Begun
from rag_api.integrations.citations import cited_sources, markdown_list, source_title
from rag_api.integrations.links import conversation_link
from rag_api.integrations.openai.chat.models import (
    Annotation,
    AssistantMessage,
    ChatChunk,
    ChatCompletion,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    UrlCitation,
)
from rag_api.integrations.openai.chat.tasks import Task
from rag_api.integrations.openai.errors import error_event

DONE = format_sse_event(data_str="[DONE]")


@dataclass(frozen=True)
class End:
    """How a text ended."""

    usage: Usage
    finish_reason: FinishReason


@dataclass(frozen=True)
class Reply:
    """A text that is about to be written: pieces, then how it ended. Closing `pieces` ends the model's call."""

    pieces: AsyncGenerator[str | End]
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4()}")
    sources: Sequence[Source] = ()
    created: int = field(default_factory=lambda: int(time.time()))


@dataclass(frozen=True)
class Form:
    """How a reply is shown: links seen from `public_url`, with a list of sources at the end, with usage in a stream."""

    public_url: str
    source_list: bool
    usage: bool


def answer_reply(service: AnswerService, begun: Begun) -> Reply:
    """Return the answer to a question."""
    return Reply(_answer(service, begun), f"chatcmpl-{begun.answer_id}", begun.sources.sources)


def task_reply(models: LanguageModels, task: Task, sampling: Sampling) -> Reply:
    """Return the answer to a background prompt: the language model's, or without one the empty answer."""
    return Reply(_task(models, task, sampling))


async def whole(reply: Reply, form: Form) -> ChatCompletion:
    """Return a reply when it is complete. Raises what the pieces raise."""
    text, end = "", End(Usage(), "stop")
    async with aclosing(reply.pieces) as pieces:
        async for piece in pieces:
            if isinstance(piece, End):
                end = piece
            else:
                text += piece
    annotations = _annotations(text, reply, form)
    message = AssistantMessage(content=text + _listed(text, reply, form), annotations=annotations)
    return ChatCompletion(
        id=reply.id,
        created=reply.created,
        model=PLATFORM_MODEL,
        choices=[Choice(message=message, finish_reason=end.finish_reason)],
        usage=end.usage,
        citations=_links(reply, form),
    )


async def events(request: Request, reply: Reply, form: Form) -> AsyncGenerator[bytes]:
    """Yield a reply as server-sent events, as it is written. What goes wrong is the last event."""
    try:
        async with aclosing(_chunks(reply, form)) as chunks:
            async for chunk in chunks:
                yield format_sse_event(data_str=chunk.model_dump_json(exclude=_absent(chunk, form)))
        yield DONE
    except Exception as error:  # the response has begun: whatever it is, it can only be told in the stream
        yield error_event(request, error)


async def _chunks(reply: Reply, form: Form) -> AsyncGenerator[ChatChunk]:
    yield _chunk(reply, Delta(role="assistant", content="")).model_copy(update={"citations": _links(reply, form)})
    text, end = "", End(Usage(), "stop")
    async with aclosing(reply.pieces) as pieces:
        async for piece in pieces:
            if isinstance(piece, End):
                end = piece
            else:
                text += piece
                yield _chunk(reply, Delta(content=piece))
    if listed := _listed(text, reply, form):
        yield _chunk(reply, Delta(content=listed))
    if annotations := _annotations(text, reply, form):
        yield _chunk(reply, Delta(annotations=annotations))
    yield _chunk(reply, Delta(), end.finish_reason)
    if form.usage:
        yield ChatChunk(id=reply.id, created=reply.created, model=PLATFORM_MODEL, choices=[], usage=end.usage)


def _absent(chunk: ChatChunk, form: Form) -> set[str]:
    """Who asked for usage is told in each chunk that it is not known yet."""
    absent = set() if form.usage else {"usage"}
    return absent | {"citations"} if chunk.citations is None else absent


def _chunk(reply: Reply, delta: Delta, finish_reason: FinishReason | None = None) -> ChatChunk:
    choice = ChunkChoice(delta=delta, finish_reason=finish_reason)
    return ChatChunk(id=reply.id, created=reply.created, model=PLATFORM_MODEL, choices=[choice])


def _links(reply: Reply, form: Form) -> list[str]:
    return [conversation_link(form.public_url, source.id) for source in reply.sources]


def _listed(text: str, reply: Reply, form: Form) -> str:
    return markdown_list(cited_sources(text, reply.sources, form.public_url)) if form.source_list else ""


def _annotations(text: str, reply: Reply, form: Form) -> list[Annotation]:
    """Return one for each source up to the last that is cited, so that [2] is the second of them.

    Chat programs link [n] to the n-th. A source that is passed over stands for no part of the text: an empty one.
    """
    cited = {one.number: one for one in cited_sources(text, reply.sources, form.public_url)}
    found = []
    for number, source in enumerate(reply.sources[: max(cited, default=0)], start=1):
        start, end = (cited[number].start, cited[number].end) if number in cited else (0, 0)
        url = conversation_link(form.public_url, source.id)
        found.append(
            Annotation(url_citation=UrlCitation(start_index=start, end_index=end, title=source_title(source), url=url))
        )
    return found


async def _answer(service: AnswerService, begun: Begun) -> AsyncGenerator[str | End]:
    usage = Usage()
    async with aclosing(service.stream(begun)) as answered:
        async for event in answered:
            if isinstance(event, AnswerToken):
                yield event.text
            elif isinstance(event, AnswerUsage):
                usage = event.usage
            elif isinstance(event, AnswerDone):
                yield End(usage, "length" if event.cut_short else "stop")


async def _task(models: LanguageModels, task: Task, sampling: Sampling) -> AsyncGenerator[str | End]:
    if models.configured is None:
        yield task.fallback
        yield End(Usage(), "stop")
        return
    try:
        async with aclosing(models.configured.stream(task.messages, models.deadline(), sampling)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    yield End(piece.usage, "length" if piece.cut_short else "stop")
                else:
                    yield piece
    except LanguageModelError as error:
        raise UnavailableError(str(error)) from error
