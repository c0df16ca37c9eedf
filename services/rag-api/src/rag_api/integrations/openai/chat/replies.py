"""Answers, and responses to background prompts, as chat completions: complete or in chunks."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.sse import format_sse_event
from mh_common.models import AnswerDone, AnswerRisk, AnswerToken, AnswerUsage, CheckedSentence, Source, Usage

from rag_api.answers.background import BackgroundWriter
from rag_api.answers.language_models import PLATFORM_MODEL
from rag_api.answers.pending import PendingAnswer
from rag_api.answers.service import AnswerService
from rag_api.integrations.citations import cited_sources, doubts_list, markdown_list, source_title
from rag_api.integrations.links import conversation_link
from rag_api.integrations.openai.chat.background_prompts import BackgroundPrompt
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
from rag_api.integrations.openai.errors import error_event
from rag_api.safety.screening import notice_in_errors

DONE = format_sse_event(data_str="[DONE]")


@dataclass(frozen=True)
class ReplyEnd:
    """Usage and finish reason at the end of a reply, and the sentences that were held against their sources."""

    usage: Usage
    finish_reason: FinishReason
    checked: Sequence[CheckedSentence] = ()


@dataclass(frozen=True)
class Reply:
    """A reply to be generated: chunks of text, then its end. Closing `pieces` cancels the call of the model.

    Attributes:
        risk: noticed in the question; None for a background prompt.
    """

    pieces: AsyncGenerator[str | ReplyEnd]
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4()}")
    sources: Sequence[Source] = ()
    risk: AnswerRisk | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def notice(self) -> str:
        """What the text begins with, before the pieces: the notice of risk, with the blank line that ends it."""
        text = self.risk.as_text() if self.risk else ""
        return f"{text}\n\n" if text else ""


@dataclass(frozen=True)
class ReplyOptions:
    """Base URL of links, whether to append a list of sources, and whether to end a stream with the usage."""

    public_url: str
    source_list: bool
    include_usage: bool


def answer_reply(service: AnswerService, pending: PendingAnswer) -> Reply:
    """Return the answer to a question."""
    return Reply(_answer(service, pending), f"chatcmpl-{pending.answer_id}", pending.sources.sources, pending.risk)


def background_reply(writer: BackgroundWriter, background_prompt: BackgroundPrompt) -> Reply:
    """Return the reply to a background prompt: with what the writer wrote or, without that, the fallback."""
    return Reply(_background_reply(writer, background_prompt))


async def to_completion(reply: Reply, options: ReplyOptions) -> ChatCompletion:
    """Return a complete reply. Raises what iterating over its pieces raises."""
    text, end = "", ReplyEnd(Usage(), "stop")
    with notice_in_errors(reply.risk or AnswerRisk()):
        async with aclosing(reply.pieces) as pieces:
            async for piece in pieces:
                if isinstance(piece, ReplyEnd):
                    end = piece
                else:
                    text += piece
    annotations = _annotations(text, reply, options)
    content = reply.notice + text + _source_list(text, end, reply, options)
    message = AssistantMessage(content=content, annotations=annotations)
    return ChatCompletion(
        id=reply.id,
        created=reply.created,
        model=PLATFORM_MODEL,
        choices=[Choice(message=message, finish_reason=end.finish_reason)],
        usage=end.usage,
        citations=_citation_urls(reply, options),
        checked_sentences=list(end.checked) or None,
        **_risk_members(reply),
    )


async def to_events(request: Request, reply: Reply, options: ReplyOptions) -> AsyncGenerator[bytes]:
    """Yield a reply as server-sent events while it is generated. An error is reported as the last event."""
    try:
        async with aclosing(_chunks(reply, options)) as chunks:
            async for chunk in chunks:
                yield format_sse_event(data_str=chunk.model_dump_json(exclude=_excluded_fields(chunk, options)))
        yield DONE
    except Exception as error:  # the response has started, so any error can only be reported in the stream
        yield error_event(request, error)


async def _chunks(reply: Reply, options: ReplyOptions) -> AsyncGenerator[ChatChunk]:
    yield _chunk(reply, Delta(role="assistant", content="")).model_copy(
        update={"citations": _citation_urls(reply, options), **_risk_members(reply)}
    )
    if reply.notice:
        yield _chunk(reply, Delta(content=reply.notice))
    text, end = "", ReplyEnd(Usage(), "stop")
    async with aclosing(reply.pieces) as pieces:
        async for piece in pieces:
            if isinstance(piece, ReplyEnd):
                end = piece
            else:
                text += piece
                yield _chunk(reply, Delta(content=piece))
    if source_list := _source_list(text, end, reply, options):
        yield _chunk(reply, Delta(content=source_list))
    if annotations := _annotations(text, reply, options):
        yield _chunk(reply, Delta(annotations=annotations))
    yield _chunk(reply, Delta(), end.finish_reason).model_copy(update={"checked_sentences": list(end.checked) or None})
    if options.include_usage:
        yield ChatChunk(id=reply.id, created=reply.created, model=PLATFORM_MODEL, choices=[], usage=end.usage)


def _excluded_fields(chunk: ChatChunk, options: ReplyOptions) -> set[str]:
    """Return the fields to omit from a chunk. If usage was requested, each chunk has it, null until the last."""
    absent = set() if options.include_usage else {"usage"}
    return absent | {"citations"} if chunk.citations is None else absent


def _chunk(reply: Reply, delta: Delta, finish_reason: FinishReason | None = None) -> ChatChunk:
    choice = ChunkChoice(delta=delta, finish_reason=finish_reason)
    return ChatChunk(id=reply.id, created=reply.created, model=PLATFORM_MODEL, choices=[choice])


def _citation_urls(reply: Reply, options: ReplyOptions) -> list[str]:
    return [conversation_link(options.public_url, source.id) for source in reply.sources]


def _risk_members(reply: Reply) -> dict[str, Any]:
    return dict(reply.risk) if reply.risk else {}


def _source_list(text: str, end: ReplyEnd, reply: Reply, options: ReplyOptions) -> str:
    if not options.source_list:
        return ""
    return doubts_list(end.checked) + markdown_list(cited_sources(text, reply.sources, options.public_url))


def _annotations(text: str, reply: Reply, options: ReplyOptions) -> list[Annotation]:
    """Return one annotation for each source up to the last cited one, so that [2] is the second annotation.

    Chat programs link [n] to the n-th annotation. A source that is not cited gets an empty span. `text` is that of the
    answer: a notice, which comes before it, cites nothing.
    """
    before = len(reply.notice)
    cited = {one.number: one for one in cited_sources(text, reply.sources, options.public_url)}
    found = []
    for number, source in enumerate(reply.sources[: max(cited, default=0)], start=1):
        start, end = (before + cited[number].start, before + cited[number].end) if number in cited else (0, 0)
        url = conversation_link(options.public_url, source.id)
        found.append(
            Annotation(url_citation=UrlCitation(start_index=start, end_index=end, title=source_title(source), url=url))
        )
    return found


async def _answer(service: AnswerService, pending: PendingAnswer) -> AsyncGenerator[str | ReplyEnd]:
    usage = Usage()
    async with aclosing(service.stream(pending)) as answered:
        async for event in answered:
            if isinstance(event, AnswerToken):
                yield event.text
            elif isinstance(event, AnswerUsage):
                usage = event.usage
            elif isinstance(event, AnswerDone):
                yield ReplyEnd(usage, "length" if event.cut_short else "stop", event.checked_sentences)


async def _background_reply(
    writer: BackgroundWriter, background_prompt: BackgroundPrompt
) -> AsyncGenerator[str | ReplyEnd]:
    items: Sequence[str] = ()
    usage = Usage()
    if background_prompt.task is not None:
        written = await writer.write(background_prompt.task, background_prompt.turns)
        items, usage = written.items, written.usage
    yield background_prompt.response(items)
    yield ReplyEnd(usage, "stop")
