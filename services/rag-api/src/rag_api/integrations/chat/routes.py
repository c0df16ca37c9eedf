"""POST /api/chat and GET /api/health."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from mh_common.auth.roles import Scope
from mh_common.errors import InvalidRequestError
from mh_common.models import AnswerDone, AnswerEvent, AnswerRequest, AnswerRisk, AnswerToken, Problem, Source
from mh_common.web.access import PUBLIC, requires
from mh_common.web.event_streams import CancellableStreamingResponse, cancel_on_disconnect
from starlette.requests import ClientDisconnect

from rag_api.answers.generators import GenerationOptions
from rag_api.answers.language_models import PLATFORM_MODEL, AnswerBackends
from rag_api.answers.routes import CLIENT_CLOSED_REQUEST
from rag_api.answers.service import AnswerService
from rag_api.dependencies import AppState, CurrentCaller, State
from rag_api.integrations.chat.models import ChatError, Health, PlainChatRequest
from rag_api.integrations.citations import cited_sources, doubts_list, plain_list
from rag_api.integrations.error_formats import IntegrationRoute, one_line_message
from rag_api.integrations.links import PublicUrl
from rag_api.problems import problem_of


class ChatRoute(IntegrationRoute):
    """A route whose errors are `{"error": …}`."""

    @staticmethod
    def error_body(problem: Problem) -> ChatError:
        """See `IntegrationRoute.error_body`."""
        return ChatError(error=one_line_message(problem))


router = APIRouter(prefix="/api", tags=["chat"], route_class=ChatRoute)


@router.get("/health", summary="Check that the service is running", dependencies=[PUBLIC])
async def health() -> Health:
    """Return 200 whenever the service is running; `/readyz` says whether its dependencies are available."""
    return Health()


@router.post(
    "/chat",
    summary="Ask how to help a patient (plain text)",
    response_class=PlainTextResponse,
    responses={status: {"model": ChatError} for status in (400, 401, 403, 422, 429, 502, 503, 504)},
    dependencies=[requires(Scope.ANSWERS)],
)
async def chat(
    body: PlainChatRequest, request: Request, state: State, public_url: PublicUrl, caller: CurrentCaller
) -> Response:
    """Stream the answer of `/api/v1/answers` as plain text, followed by the sentences to doubt and the sources
    it cites.

    If risk was noticed, the text begins with the notice: from `[Notice]` to the line that begins with `[End of notice`.
    If nothing was screened, one line with `[Notice]` says so. An error before the first word is returned with its
    status; after a later one the text ends with a line that begins with `[Error`. Without a language model the answer
    consists of quotes, and `developer_message` is ignored; if `api_key` cannot be used here, it says so before them.
    """
    user = await caller.asks()
    backends = _caller_backends(body, state)
    try:
        started = await cancel_on_disconnect(request, _wait_for_first_event(body, user, state.answers, backends))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return CancellableStreamingResponse(_text(request, started, public_url), PlainTextResponse.media_type)


@dataclass(frozen=True)
class StartedAnswer:
    """An answer whose first words have arrived: a notice of risk, or the first event of its text."""

    risk: AnswerRisk
    sources: Sequence[Source]
    first: AnswerEvent | None
    others: AsyncGenerator[AnswerEvent]


KEYS_OFF: Final = "your key was not used, since this platform does not take keys of callers (DOORS_REQUEST_KEYS)"
NO_EGRESS: Final = "this platform may not send texts to {recipient} (LLM_DATA_EGRESS)"


def _caller_backends(body: PlainChatRequest, state: AppState) -> AnswerBackends | None:
    """Return backends that use the caller's key, or say why they do not; None if the caller sent none."""
    models = state.language_models
    name = None if body.model in (PLATFORM_MODEL, models.name) else body.model
    if body.api_key is None:
        if name is not None:
            raise InvalidRequestError("Choosing a model requires your own key: send api_key, or omit model.")
        return None
    if not state.integrations.request_keys:
        return models.quotes(KEYS_OFF)
    if not models.may_be_asked:
        return models.quotes(NO_EGRESS.format(recipient=models.recipient.name))
    return models.backends(models.for_caller(body.api_key, name))


async def _wait_for_first_event(
    body: PlainChatRequest, user: str | None, service: AnswerService, backends: AnswerBackends | None
) -> StartedAnswer:
    """Wait for the first words, so that a rejected key, for example, becomes an error status and not text.

    A notice of risk waits for nothing, and no error takes its place.
    """
    request = AnswerRequest(question=body.user_message)
    pending = await service.prepare(request, user, GenerationOptions(body.developer_message), backends)
    events = service.stream(pending)
    try:
        # What comes before the text: the risk and the sources.
        await anext(events)
        await anext(events)
        first = None if pending.risk.risk_notice else await anext(events)
        return StartedAnswer(pending.risk, pending.sources.sources, first, events)
    except BaseException:
        await events.aclose()
        raise


async def _text(request: Request, started: StartedAnswer, public_url: str) -> AsyncGenerator[bytes]:
    text, doubts = "", ""
    try:
        if notice := started.risk.as_text():
            yield f"{notice}\n\n".encode()
        async with aclosing(_events(started)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    text += event.text
                    yield event.text.encode()
                elif isinstance(event, AnswerDone):
                    doubts = doubts_list(event.checked_sentences)
        yield (doubts + plain_list(cited_sources(text, started.sources, public_url))).encode()
    except Exception as error:  # the text has started, so any error can only be reported in it
        problem, _ = problem_of(request, error)
        yield f"\n\n[Error: {one_line_message(problem)}]\n".encode()


async def _events(started: StartedAnswer) -> AsyncGenerator[AnswerEvent]:
    async with aclosing(started.others) as others:
        if started.first is not None:
            yield started.first
        async for event in others:
            yield event
