"""Answers: whole, or as they are written."""

import re
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, Final

from mh_common.models import (
    ANSWER_EVENTS,
    USER_ID_PATTERN,
    Answer,
    AnswerDone,
    AnswerEvent,
    AnswerRequest,
    ConversationTurn,
    FieldProblem,
    Problem,
)
from pydantic import ValidationError

from mh_client._base import VERSION, Call, Retry, validated
from mh_client._errors import (
    APIConnectionError,
    APIStatusError,
    InvalidInputError,
    ResponseDecodeError,
    status_error_class,
)
from mh_client._event_stream import EventDecoder, ServerEvent

ANSWER_READ_TIMEOUT: Final = 60.0
"""Seconds: a language model takes its time."""

USER_ID: Final = "X-User-Id"
PATH: Final = "/api/v1/answers"

Turns = Sequence[ConversationTurn | Mapping[str, str]]
"""What was asked and answered before, the oldest first: `role` is user or assistant, `content` the text."""


def answer(question: str, top_k: int = 3, conversation_history: Turns = (), user_id: str | None = None) -> Call[Answer]:
    """Suggest how to help a patient, grounded in the `top_k` (1 to 20) nearest conversations.

    `conversation_history` is what the question follows up on; `user_id` says who asks. Waits up to 60 s. Sent again
    only when the server did no work: a language model charges each time.
    """
    return _call(question, top_k, conversation_history, user_id, "application/json")


def answer_events(question: str, top_k: int, conversation_history: Turns, user_id: str | None) -> Call[Answer]:
    """Describe the call whose answer is the stream that `read_events` reads."""
    return _call(question, top_k, conversation_history, user_id, "text/event-stream")


def _call(question: str, top_k: int, history: Turns, user_id: str | None, accept: str) -> Call[Answer]:
    values: dict[str, Any] = {"question": question, "top_k": top_k}
    if history:
        values["conversation_history"] = [
            turn.model_dump() if isinstance(turn, ConversationTurn) else turn for turn in history
        ]
    request = validated(AnswerRequest, values)
    headers = {"Accept": accept}
    if user_id is not None:
        if not re.fullmatch(USER_ID_PATTERN, user_id):
            raise InvalidInputError([FieldProblem(field="user_id", message=f"must match {USER_ID_PATTERN}")])
        headers[USER_ID] = user_id
    return Call(
        method="POST",
        path=PATH,
        content=request.model_dump_json(exclude_unset=True).encode(),
        headers=headers,
        parse=Answer.model_validate_json,
        retry=Retry.WHEN_NOT_STARTED,
        read_timeout=ANSWER_READ_TIMEOUT,
    )


def read_events(pieces: Generator[bytes]) -> Generator[AnswerEvent]:
    """Yield what a streamed answer says. Raises MHError: at its end, too, where that is not the answer's end."""
    decoder = EventDecoder()
    with closing(pieces):
        for piece in pieces:
            for event in _parsed(decoder.feed(piece)):
                yield event
                if isinstance(event, AnswerDone):
                    return
    raise _broken_off()


async def read_events_async(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[AnswerEvent]:
    """See `read_events`."""
    decoder = EventDecoder()
    async with aclosing(pieces):
        async for piece in pieces:
            for event in _parsed(decoder.feed(piece)):
                yield event
                if isinstance(event, AnswerDone):
                    return
    raise _broken_off()


def _parsed(received: Iterable[ServerEvent]) -> Iterator[AnswerEvent]:
    for one in received:
        event = _parse(one)
        if event is not None:
            yield event


def _parse(event: ServerEvent) -> AnswerEvent | None:
    """What an event says; None for one that this version does not know."""
    try:
        if event.name == "error":
            problem = Problem.model_validate_json(event.data)
            raise _status_error(problem)
        model = ANSWER_EVENTS.get(event.name)
        return model.model_validate_json(event.data) if model else None
    except ValidationError:
        raise ResponseDecodeError(
            f"POST {PATH} streamed an event `{event.name}` in a shape that this version of mh-client ({VERSION}) does "
            "not know"
        ) from None


def _status_error(problem: Problem) -> APIStatusError:
    return status_error_class(problem.status)(problem.status, problem, problem.request_id)


def _broken_off() -> APIConnectionError:
    return APIConnectionError(f"POST {PATH} broke off in the middle of its answer; what came is not all of it")
