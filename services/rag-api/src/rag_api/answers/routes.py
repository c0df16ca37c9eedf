"""POST /api/v1/answers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response
from mh_common.models import ANSWER_EVENTS, USER_ID_PATTERN, Answer, AnswerRequest
from mh_common.web.event_streams import EVENT_STREAM, EventStreamResponse, event, problem_event, while_connected
from mh_common.web.media_types import accepted
from mh_common.web.problems import problem_responses
from starlette.requests import ClientDisconnect

from rag_api.answers.documentation import EXAMPLE, STREAM_EXAMPLE
from rag_api.answers.service import AnswerService, Begun
from rag_api.dependencies import State
from rag_api.problems import problem_of

router = APIRouter(prefix="/api/v1/answers", tags=["answers"])

JSON: Final = "application/json"
CLIENT_GONE: Final = 499
"""Nobody reads this status but the log, where it tells such requests from others."""

_EVENT_OF: Final = {kind: name for name, kind in ANSWER_EVENTS.items()}

UserId = Annotated[
    str | None,
    Header(
        alias="X-User-Id",
        pattern=USER_ID_PATTERN,
        description="Who asks, as told by whoever let the request in; kept with the answer where answers are kept. "
        "1 to 128 ASCII characters, no spaces.",
    ),
]

_OK: Final[dict[str, Any]] = {
    "description": "The answer: whole, or with `Accept: text/event-stream` as it is written.",
    "content": {
        JSON: {"example": EXAMPLE},
        EVENT_STREAM: {"schema": {"type": "string"}, "example": STREAM_EXAMPLE},
    },
}


@router.post(
    "",
    summary="Ask how to help a patient",
    response_model=Answer,
    responses={200: _OK, **problem_responses(400, 406, 422, 502, 503, 504)},
)
async def answer(body: AnswerRequest, request: Request, state: State, user: UserId = None) -> Answer | Response:
    """Return a suggestion for the counselor, grounded in the `top_k` nearest conversations, which it cites as [1] [2].

    With `Accept: text/event-stream` the answer comes as it is written, in the events `sources`, `token` (each the next
    part of the text), `usage` and `done`. What goes wrong before `sources` is answered as without a stream; after it
    comes as the event `error`, whose data is the problem document. A stream that ends with neither `done` nor `error`
    broke off. Lines that begin with a colon keep the connection open. Closing it stops the language model.

    Without an API key for a language model the answer quotes sentences of the conversations (`model` is `extractive`).
    When nothing relevant is found the answer says so (`model` is `none`).
    With the language model down (502), too slow (504) or refusing (503), the problem still carries `sources`.
    """
    form = accepted(request, (JSON, EVENT_STREAM))
    try:
        if form == JSON:
            return await while_connected(request, state.answers.answer(body, user))
        begun = await while_connected(request, state.answers.begin(body, user))
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    return EventStreamResponse(_events(request, state.answers, begun), state.heartbeat)


async def _events(request: Request, service: AnswerService, begun: Begun) -> AsyncGenerator[bytes]:
    try:
        async with aclosing(service.stream(begun)) as events:
            async for one in events:
                yield event(_EVENT_OF[type(one)], one)
    except Exception as error:  # the response has begun: whatever it is, it can only be told in the stream
        problem, _ = problem_of(request, error)
        yield problem_event(problem)
