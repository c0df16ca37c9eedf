"""POST /api/v1/answers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from mh_common.auth.roles import Scope
from mh_common.models import ANSWER_EVENTS, Answer, AnswerRequest
from mh_common.web.access import GuardedRoute, requires
from mh_common.web.event_streams import EVENT_STREAM, EventStreamResponse, cancel_on_disconnect, event, problem_event
from mh_common.web.media_types import negotiate_media_type
from mh_common.web.problems import problem_responses
from starlette.requests import ClientDisconnect

from rag_api.answers.openapi_examples import EXAMPLE, STREAM_EXAMPLE
from rag_api.answers.pending import PendingAnswer
from rag_api.answers.service import AnswerService
from rag_api.dependencies import CurrentCaller, State
from rag_api.problems import problem_of

router = APIRouter(
    route_class=GuardedRoute, prefix="/api/v1/answers", tags=["answers"], dependencies=[requires(Scope.ANSWERS)]
)

JSON: Final = "application/json"
CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's status for a request whose client closed the connection. Only the access log shows it."""

_EVENT_NAMES: Final = {kind: name for name, kind in ANSWER_EVENTS.items()}

_OK: Final[dict[str, Any]] = {
    "description": "The answer: complete or, with `Accept: text/event-stream`, streamed.",
    "content": {
        JSON: {"example": EXAMPLE},
        EVENT_STREAM: {"schema": {"type": "string"}, "example": STREAM_EXAMPLE},
    },
}


@router.post(
    "",
    summary="Ask how to help a patient",
    response_model=Answer,
    responses={200: _OK, **problem_responses(400, 401, 403, 406, 422, 429, 502, 503, 504)},
)
async def answer(body: AnswerRequest, request: Request, state: State, caller: CurrentCaller) -> Answer | Response:
    """Return a suggestion for the counselor, grounded in the `top_k` most similar conversations, cited as [1] [2].

    The question and those before it are screened for risk first: from elevated risk on, show `risk_notice` before
    anything else. It never holds back an answer.

    With `Accept: text/event-stream` the answer is streamed in the events `risk`, `sources`, `token` (each the next part
    of the text), `usage` and `done`. An error before `risk` is an ordinary problem response; a later one is the event
    `error` with the problem document as data. A stream that ends with neither `done` nor `error` was interrupted. Lines
    that begin with a colon keep the connection alive. Closing the connection stops the language model.

    When a language model's text is complete, each of its sentences is compared with the sources that it cites:
    `checked_sentences` in `done` says which ones they do not seem to support. The comparison is rough.

    Without an API key for a language model, the answer quotes passages of the conversations (`model` is `extractive`):
    what counselors advised, and how they explained it. If no passage is close enough to the question, it says so, and
    the sources may still be worth reading. If nothing relevant is found, the answer says so (`model` is `none`).

    Passages are looked for in the `top_k` best hits and in further answers to the best questions. Such a further answer
    is among the sources if it is quoted, so there can be more than `top_k` of them.

    If the language model is down (502), too slow (504) or refuses to answer (503), the problem document includes the
    `sources`. A notice of risk is in every problem document that follows it, as `risk` and `risk_notice`.
    """
    media_type = negotiate_media_type(request, (JSON, EVENT_STREAM))
    user = await caller.asks(body.user_id)
    try:
        if media_type == JSON:
            return await cancel_on_disconnect(request, state.answers.answer(body, user))
        pending = await cancel_on_disconnect(request, state.answers.prepare(body, user))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return EventStreamResponse(_events(request, state.answers, pending), state.heartbeat)


async def _events(request: Request, service: AnswerService, pending: PendingAnswer) -> AsyncGenerator[bytes]:
    try:
        async with aclosing(service.stream(pending)) as events:
            async for one in events:
                yield event(_EVENT_NAMES[type(one)], one)
    except Exception as error:  # the response has started, so any error can only be reported in the stream
        problem, _ = problem_of(request, error)
        yield problem_event(problem)
