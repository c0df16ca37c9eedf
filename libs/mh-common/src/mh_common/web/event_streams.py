"""Server-sent events (WHATWG HTML, 9.2), and work that is cancelled when the client disconnects."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from mh_common.models import Problem

EVENT_STREAM: Final = "text/event-stream"

T = TypeVar("T")


class CancellableStreamingResponse(StreamingResponse):
    """Sends chunks as they come. When the client disconnects, `chunks` is closed at once, cancelling what it awaits."""

    def __init__(self, chunks: AsyncGenerator[bytes], media_type: str) -> None:
        # The second header turns off nginx's buffering.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self._content = chunks
        super().__init__(self._content, headers=headers, media_type=media_type)

    async def stream_response(self, send: Send) -> None:
        """Send all chunks, in a separate task: Starlette cancels this one at every await of its clean-up."""
        task = asyncio.create_task(self._send_all(send))
        try:
            await asyncio.shield(task)
        finally:
            task.cancel()

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._content):
            await super().stream_response(send)


class EventStreamResponse(CancellableStreamingResponse):
    """Sends events as they come, and keep-alive comments in between, so that proxies do not time out.

    Args:
        events: made by `event`.
        heartbeat: seconds without an event before a comment is sent.
    """

    def __init__(self, events: AsyncGenerator[bytes], heartbeat: float) -> None:
        super().__init__(_with_heartbeats(events, heartbeat), EVENT_STREAM)


def event(name: str, data: BaseModel) -> bytes:
    """Return an event with JSON data."""
    return format_sse_event(event=name, data_str=data.model_dump_json())


def problem_event(problem: Problem) -> bytes:
    """Return an `error` event, for a problem after the response has started."""
    return format_sse_event(event="error", data_str=problem.model_dump_json(exclude_none=True))


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`; cancel it when the client disconnects. Use it at most once per request.

    (Once a wait for the disconnect was cancelled, Gunicorn 27.0 reports the client as disconnected.)

    Raises:
        ClientDisconnect: the client disconnected.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await request.receive()


async def _with_heartbeats(events: AsyncGenerator[bytes], interval: float) -> AsyncGenerator[bytes]:
    following: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(events, None))
            done, _ = await asyncio.wait({following}, timeout=interval)
            if not done:
                yield KEEPALIVE_COMMENT
                continue
            data, following = following.result(), None
            if data is None:
                return
            yield data
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
        await events.aclose()
