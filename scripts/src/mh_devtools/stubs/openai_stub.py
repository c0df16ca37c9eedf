"""An HTTP server with OpenAI's API, for tests and benchmarks, that can inject faults.

    with StubOpenAI.running() as stub:
        stub.add_faults(Fault(status=429, headers={"Retry-After": "2"}))
        client = AsyncOpenAI(base_url=stub.base_url, api_key=stub.api_key)

As a process: `python -m mh_devtools.stubs.openai_stub --port 8099`.
"""

import argparse
import asyncio
import base64
import hashlib
import itertools
import json
import math
import re
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mh_devtools.stubs.chat_events import chat_events, words
from mh_devtools.stubs.server import serving

CREATED = 1_700_000_000  # fixed, so that responses can be compared
MAX_INPUTS = 2048


CHAT = "/v1/chat/completions"
"""Path of the chat completions."""


@dataclass(frozen=True)
class Fault:
    """A fault for one request. The default of each field changes nothing.

    Attributes:
        status: respond with this status, and with `body` or else an OpenAI error.
        body: respond with exactly this text, as application/json even if it is not; with status 200 by default.
        headers: added to a response determined by `status` or `body`.
        delay: seconds to wait first.
        hang: first wait until `StubOpenAI.release` is called or the caller disconnects.
        wrong_dimension: vectors have one component more than requested.
        drop: close the connection in the middle of the response; a stream ends after its first words.
        stall: a stream pauses after its first words until `StubOpenAI.release` is called.
        path: apply the fault only to this path, such as `/v1/embeddings`; None for any.
    """

    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    wrong_dimension: bool = False
    drop: bool = False
    stall: bool = False
    path: str | None = None


MALFORMED = Fault(body='{"object": "list", "data": [')
NO_FAULT = Fault()


@dataclass(frozen=True)
class ReceivedRequest:
    """A received request; `headers` have lower-case names, `body` is None if it was not a JSON object."""

    path: str
    body: dict[str, Any] | None
    headers: Mapping[str, str]


class StubOpenAI:
    """The server's state. All attributes can be read and set from any thread while it is running.

    Attributes:
        api_key: the only accepted bearer token.
        dimension: length of the vectors, unless the request specifies another.
        bag_of_words: False: vectors of different texts are unrelated. True: the more words two texts share, the
            closer their vectors; word order does not matter.
        reverse: return embeddings in reverse order (each with its correct index), as the API allows.
        latency: seconds added to every response.
        event_delay: seconds after each event of a streamed response.
        reply: the chat model's reply, or a function that returns it given the request's JSON.
        pieces: splits the reply into the pieces of a streamed response; by default into words.
        abandoned: number of calls whose caller disconnected while they hung or before a stream ended.
        requests: every request received, in order, while `remember` is true.
        base_url: set by `running`.
    """

    def __init__(self, *, dimension: int = 1536, bag_of_words: bool = False) -> None:
        self.api_key = "stub-key"
        self.dimension = dimension
        self.bag_of_words = bag_of_words
        self.reverse = False
        self.latency = 0.0
        self.event_delay = 0.0
        self.remember = True
        self.reply: str | Callable[[dict[str, Any]], str] = "This is the stub's reply."
        self.pieces: Callable[[str], list[str]] = words
        self.abandoned = 0
        self.requests: list[ReceivedRequest] = []
        self.base_url = ""
        self.app = Starlette(
            routes=[
                Route("/v1/embeddings", self._embeddings, methods=["POST"]),
                Route(CHAT, self._chat, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
            ]
        )
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._ids = itertools.count(1)

    def chats(self) -> list[dict[str, Any]]:
        """Return the bodies of the recorded chat requests, in order."""
        return [request.body for request in self.requests if request.path == CHAT and request.body is not None]

    def add_faults(self, *faults: Fault) -> None:
        """Apply these faults to the next requests, one each, in this order."""
        with self._lock:
            self._faults.extend(faults)

    def release(self) -> None:
        """Let all hanging and later requests continue."""
        self._released.set()

    def reset(self) -> None:
        """Clear recorded requests and remaining faults."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()
            self.abandoned = 0
        self._released.clear()

    @classmethod
    @contextmanager
    def running(cls, *, dimension: int = 1536, bag_of_words: bool = False) -> "Iterator[StubOpenAI]":
        """Serve on a free loopback port, in a thread, during the block."""
        stub = cls(dimension=dimension, bag_of_words=bag_of_words)
        with serving(stub.app) as url:
            stub.base_url = f"{url}/v1"
            try:
                yield stub
            finally:
                stub.release()

    async def _receive(self, request: Request) -> tuple[dict[str, Any], Fault, Response | None]:
        """Record the request; return its JSON, the fault to apply, and the response if it is already determined."""
        raw = await request.body()
        try:
            parsed = json.loads(raw)
        except ValueError:
            parsed = None
        body = parsed if isinstance(parsed, dict) else None
        path = request.url.path
        with self._lock:
            if self.remember:
                self.requests.append(ReceivedRequest(path, body, dict(request.headers)))
            fault = next((fault for fault in self._faults if fault.path in (None, path)), NO_FAULT)
            if fault is not NO_FAULT:
                self._faults.remove(fault)
        await asyncio.sleep(self.latency + fault.delay)
        while fault.hang and not self._released.is_set():
            if await request.is_disconnected():
                self.abandoned += 1
                break
            await asyncio.sleep(0.01)
        return body or {}, fault, self._early_response(request, body, fault)

    def _early_response(self, request: Request, body: dict[str, Any] | None, fault: Fault) -> Response | None:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return _error(401, "Incorrect API key provided", "invalid_api_key")
        if fault.body is not None:
            return Response(fault.body, fault.status or 200, fault.headers, media_type="application/json")
        if fault.status is not None:
            return _error(fault.status, "This request was told to fail", "stub_fault", fault.headers)
        if request.method == "POST" and body is None:
            return _error(400, "We could not parse the JSON body of your request", "invalid_json")
        return None

    async def _models(self, request: Request) -> Response:
        _, fault, answer = await self._receive(request)
        model = {"id": "stub-model", "object": "model", "created": CREATED, "owned_by": "stub"}
        return answer or _whole({"object": "list", "data": [model]}, fault)

    async def _embeddings(self, request: Request) -> Response:
        body, fault, answer = await self._receive(request)
        if answer:
            return answer
        texts: list[Any] = body["input"] if isinstance(body.get("input"), list) else [body.get("input")]
        if not 0 < len(texts) <= MAX_INPUTS or not all(isinstance(text, str) and text for text in texts):
            return _error(400, "'$.input' is invalid", "invalid_input")
        dimension = body.get("dimensions", self.dimension) + fault.wrong_dimension
        vectors = [embedding(text, dimension, self.bag_of_words) for text in texts]
        encode = _base64 if body.get("encoding_format") == "base64" else list
        data = [{"object": "embedding", "index": i, "embedding": encode(vector)} for i, vector in enumerate(vectors)]
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        data = data[::-1] if self.reverse else data
        return _whole({"object": "list", "data": data, "model": body.get("model"), "usage": usage}, fault)

    async def _chat(self, request: Request) -> Response:
        body, fault, answer = await self._receive(request)
        if answer:
            return answer
        if not body.get("messages"):
            return _error(400, "Missing required parameter: 'messages'", "missing_required_parameter")
        reply = self.reply if isinstance(self.reply, str) else self.reply(body)
        head = {"id": f"chatcmpl-{next(self._ids)}", "created": CREATED, "model": body.get("model", "stub-model")}
        asked, said = len(json.dumps(body["messages"]).split()), len(reply.split())
        usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
        if body.get("stream"):
            with_usage = (body.get("stream_options") or {}).get("include_usage")
            events = chat_events(head, self.pieces(reply), usage if with_usage else None)
            if fault.drop:
                return _CutResponse("".join(events[:4]), media_type="text/event-stream")
            return StreamingResponse(self._stream(events, fault), media_type="text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
        return _whole({**head, "object": "chat.completion", "choices": [choice], "usage": usage}, fault)

    async def _stream(self, events: list[str], fault: Fault) -> AsyncIterator[str]:
        whole = False
        try:
            for number, event in enumerate(events):
                while fault.stall and number == 4 and not self._released.is_set():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                yield event
                await asyncio.sleep(self.event_delay)
            whole = True
        finally:
            self.abandoned += not whole


def embedding(text: str, dimension: int, bag_of_words: bool) -> list[float]:
    """Return the stub's vector of a text: of unit length, and the same on every machine."""
    words = Counter(re.findall(r"\w+", text.lower())) if bag_of_words else {}
    vector = [0.0] * dimension
    for word, count in words.items():
        # Feature hashing: each word adds to or subtracts from one component.
        place = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")
        vector[place // 2 % dimension] += count if place % 2 else -count
    if not any(vector):
        digest = hashlib.shake_256(text.encode("utf-8", "replace")).digest(2 * dimension)
        vector = [float(number) for number in struct.unpack(f"<{dimension}h", digest)]
    norm = math.hypot(*vector)
    return [component / norm for component in vector]


class _CutResponse(Response):
    """Sends its content as the start of a longer response, then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


def _whole(content: dict[str, Any], fault: Fault) -> Response:
    if fault.drop:
        return _CutResponse(json.dumps(content)[:-1], media_type="application/json")
    return JSONResponse(content)


def _error(status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": error}, status, headers)


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def main() -> None:
    """Run the stub as a process."""
    parser = argparse.ArgumentParser(description="A stub of an OpenAI-compatible server.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dimension", type=int, default=1536)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--bag-of-words", action="store_true", help="texts that share words get similar vectors")
    parser.add_argument("--api-key", default="stub-key")
    arguments = parser.parse_args()
    stub = StubOpenAI(dimension=arguments.dimension, bag_of_words=arguments.bag_of_words)
    stub.latency = arguments.latency_ms / 1000
    stub.api_key = arguments.api_key
    stub.remember = False  # nothing can read them, and a benchmark would fill the memory
    uvicorn.run(stub.app, port=arguments.port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
