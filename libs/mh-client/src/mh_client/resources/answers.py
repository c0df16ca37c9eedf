"""Answers, complete or streamed."""

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
"""Seconds; language models are slow."""

USER_ID: Final = "X-User-Id"
PATH: Final = "/api/v1/answers"

Turns = Sequence[ConversationTurn | Mapping[str, str]]
"""The conversation history, oldest first: `role` is user or assistant, `content` the text."""


def answer(
    question: str,
    top_k: int = 3,
    conversation_history: Turns = (),
    user_id: str | None = None,
    show_sent: bool = False,
) -> Call[Answer]:
    """Suggest how to help a patient, grounded in the `top_k` (1 to 20) best matching conversations.

    `conversation_history` has the earlier turns of a follow-up question; `user_id` is the person for whom you ask, if
    your key may act for others. With `show_sent` the answer has in `sent` what was sent to which server for it. Waits
    up to 60 s. Retried only if the server cannot have processed it, because each call of a language model costs money.
    """
    return _call(question, top_k, conversation_history, user_id, show_sent, "application/json")


def answer_events(
    question: str, top_k: int, conversation_history: Turns, user_id: str | None, show_sent: bool
) -> Call[Answer]:
    """Return the call for a streamed answer, for `read_events`."""
    return _call(question, top_k, conversation_history, user_id, show_sent, "text/event-stream")


def _call(question: str, top_k: int, history: Turns, user_id: str | None, show_sent: bool, accept: str) -> Call[Answer]:
    values: dict[str, Any] = {"question": question, "top_k": top_k}
    if show_sent:
        values["show_sent"] = True
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
        retry=Retry.IF_NOT_PROCESSED,
        read_timeout=ANSWER_READ_TIMEOUT,
    )


def read_events(pieces: Generator[bytes]) -> Generator[AnswerEvent]:
    """Yield the events of a streamed answer. Raises MHError, also if the stream ends before the answer does."""
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
    """Parse an event; None if its type is unknown to this version."""
    try:
        if event.name == "error":
            problem = Problem.model_validate_json(event.data)
            raise _status_error(problem)
        model = ANSWER_EVENTS.get(event.name)
        return model.model_validate_json(event.data) if model else None
    except ValidationError:
        raise ResponseDecodeError(
            f"POST {PATH} streamed an event `{event.name}` in a format that this version of mh-client ({VERSION}) does "
            "not understand"
        ) from None


def _status_error(problem: Problem) -> APIStatusError:
    return status_error_class(problem.status)(problem.status, problem, problem.request_id)


def _broken_off() -> APIConnectionError:
    return APIConnectionError(f"POST {PATH} was disconnected before the end of the answer, which is incomplete")
