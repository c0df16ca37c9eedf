"""POST /api/chat and GET /api/health."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from mh_common.errors import InvalidRequestError
from mh_common.models import AnswerEvent, AnswerRequest, AnswerToken, Problem, Source
from mh_common.web.event_streams import LiveResponse, while_connected
from starlette.requests import ClientDisconnect

from rag_api.answers.generators import Wishes
from rag_api.answers.language_models import PLATFORM_MODEL, Writers
from rag_api.answers.routes import CLIENT_GONE, UserId
from rag_api.answers.service import AnswerService
from rag_api.dependencies import AppState, State
from rag_api.integrations.chat.models import ChatError, Health, PlainChatRequest
from rag_api.integrations.citations import cited_sources, plain_list
from rag_api.integrations.links import PublicUrl
from rag_api.integrations.routing import IntegrationRoute, in_one_line
from rag_api.problems import problem_of


class ChatRoute(IntegrationRoute):
    """A route that tells errors as `{"error": …}`."""

    @staticmethod
    def error_body(problem: Problem) -> ChatError:
        """See `IntegrationRoute`."""
        return ChatError(error=in_one_line(problem))


router = APIRouter(prefix="/api", tags=["chat"], route_class=ChatRoute)


@router.get("/health", summary="Whether the service runs")
async def health() -> Health:
    """Answer as soon as the service runs; `/readyz` says whether it can do its work."""
    return Health()


@router.post(
    "/chat",
    summary="Ask how to help a patient, and read plain text",
    response_class=PlainTextResponse,
    responses={status: {"model": ChatError} for status in (400, 403, 422, 502, 503, 504)},
)
async def chat(
    body: PlainChatRequest, request: Request, state: State, public_url: PublicUrl, user: UserId = None
) -> Response:
    """Return the answer of `/api/v1/answers` as plain text, as it is written, and behind it the sources it cites.

    What goes wrong before the first word is an error with its status. After it the text ends with a line that begins
    with `[Error`. Without a language model the answer is made of quotations, and `developer_message` changes nothing.
    """
    writers = _writers(body, state)
    try:
        opened = await while_connected(request, _open(body, user, state.answers, writers))
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    return LiveResponse(_text(request, opened, public_url), PlainTextResponse.media_type)


@dataclass(frozen=True)
class Opened:
    """An answer of which the first piece is there."""

    sources: Sequence[Source]
    first: AnswerEvent
    others: AsyncGenerator[AnswerEvent]


def _writers(body: PlainChatRequest, state: AppState) -> Writers | None:
    """Who writes with the caller's key; None: who always writes."""
    models = state.language_models
    name = None if body.model in (PLATFORM_MODEL, models.name) else body.model
    if body.api_key is None:
        if name is not None:
            raise InvalidRequestError("Another model needs a key of your own: send api_key, or leave model out.")
        return None
    if not state.integrations.request_keys:
        raise HTTPException(403, "Keys of your own are turned off here (DOORS_REQUEST_KEYS). Leave api_key out.")
    return models.writers(models.of_caller(body.api_key, name))


async def _open(body: PlainChatRequest, user: str | None, service: AnswerService, writers: Writers | None) -> Opened:
    """Wait for the first piece, so that a key that is refused, for example, is an error and no text."""
    request = AnswerRequest(question=body.user_message)
    begun = await service.begin(request, user, Wishes(body.developer_message), writers)
    events = service.stream(begun)
    try:
        await anext(events)
        return Opened(begun.sources.sources, await anext(events), events)
    except BaseException:
        await events.aclose()
        raise


async def _text(request: Request, opened: Opened, public_url: str) -> AsyncGenerator[bytes]:
    text = ""
    try:
        async with aclosing(_events(opened)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    text += event.text
                    yield event.text.encode()
        yield plain_list(cited_sources(text, opened.sources, public_url)).encode()
    except Exception as error:  # the text has begun: whatever it is, it can only be told in it
        problem, _ = problem_of(request, error)
        yield f"\n\n[Error: {in_one_line(problem)}]\n".encode()


async def _events(opened: Opened) -> AsyncGenerator[AnswerEvent]:
    async with aclosing(opened.others) as others:
        yield opened.first
        async for event in others:
            yield event
