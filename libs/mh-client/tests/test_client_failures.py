"""Errors, and which of them are retried; every test runs with Client and AsyncClient."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx
from mh_client import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Client,
    ConflictError,
    MHError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    RateLimitError,
    ResponseDecodeError,
    ServerError,
    UnprocessableError,
)

BASE = "http://platform.test"
CONVERSATIONS = f"{BASE}/api/v1/conversations"
ANSWERS = f"{BASE}/api/v1/answers"
TEXTS: dict[str, Any] = {
    "question": "q",
    "answer": "a",
    "question_sentiment": "neutral",
    "answer_sentiment": "neutral",
}
ROW = {
    **TEXTS,
    "id": 7,
    "version": 1,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
    "index_status": "pending",
}
ANSWER = {
    "answer": "a",
    "sources": [],
    "model": "none",
    "usage": {},
    "grounded": False,
    "answer_id": "00000000-0000-0000-0000-000000000007",
    "standalone_query": "q",
    "query_origin": "question",
    "latency_ms": {"condense": 0, "search": 1, "generate": 1, "total": 2},
}


class Caller:
    """Calls a method of one of the two clients and records how long it would have slept."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.slept: list[float] = []

    def __call__(self, use: Callable[[Any], Any], **options: Any) -> Any:
        if self.kind == "AsyncClient":
            return asyncio.run(self._awaited(use, options))
        with Client(BASE, sleep=self.slept.append, **options) as client:
            found = use(client)
            return list(found) if isinstance(found, Iterator) else found

    async def _awaited(self, use: Callable[[Any], Any], options: Any) -> Any:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        async with AsyncClient(BASE, sleep=sleep, **options) as client:
            found = use(client)
            return [item async for item in found] if hasattr(found, "__aiter__") else await found


@pytest.fixture(params=["Client", "AsyncClient"])
def call(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


def get(client: Any) -> Any:
    return client.conversations.get(7)


def ask(client: Any) -> Any:
    return client.answer("q")


def create(client: Any) -> Any:
    return client.conversations.create(**TEXTS)


@respx.mock
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (405, APIStatusError),
        (404, NotFoundError),
        (409, ConflictError),
        (412, PreconditionFailedError),
        (422, UnprocessableError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
def test_each_status_has_its_error_with_problem_and_request_id(
    call: Caller, status: int, kind: type[APIStatusError]
) -> None:
    problem = {
        "title": "No",
        "status": status,
        "detail": "It is so.",
        "errors": [{"field": f"items.{row}.question", "message": "is empty", "row": row} for row in range(5)],
        "sources": [{"id": 1}],
    }
    respx.get(f"{CONVERSATIONS}/7").respond(status, json=problem, headers={"X-Request-ID": "r-1"})
    with pytest.raises(APIStatusError) as caught:
        call(get, max_retries=0)
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.request_id) == (status, "r-1")
    assert error.problem is not None
    assert error.problem.errors is not None
    assert error.problem.errors[3].row == 3
    assert error.problem.model_extra == {"sources": [{"id": 1}]}
    assert "It is so." in str(error)
    assert "items.0.question: is empty" in str(error)
    assert "and 2 more" in str(error)
    assert "r-1" in str(error)


@respx.mock
@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[1]", b'{"detail": "Not ours"}', b"\xff"])
def test_an_error_without_problem_document_is_still_typed(call: Caller, body: bytes) -> None:
    respx.get(f"{CONVERSATIONS}/7").respond(502, content=body)
    with pytest.raises(ServerError, match=r"^502 Bad Gateway$") as caught:
        call(get, max_retries=0)
    assert caught.value.problem is None
    assert caught.value.request_id is None


@respx.mock
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"id": "secret"}'])
def test_a_success_in_another_format_is_an_error_without_its_text(call: Caller, body: bytes) -> None:
    route = respx.get(f"{CONVERSATIONS}/7").respond(200, content=body)
    with pytest.raises(ResponseDecodeError) as caught:
        call(get)
    assert "secret" not in str(caught.value)
    assert route.call_count == 1


@respx.mock
def test_undecodable_compression_is_not_retried(call: Caller) -> None:
    route = respx.get(f"{CONVERSATIONS}/7").mock(side_effect=httpx.DecodingError("Error -3"))
    with pytest.raises(ResponseDecodeError):
        call(get)
    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx.ConnectError("refused"), APIConnectionError),
        (httpx.RemoteProtocolError("disconnected"), APIConnectionError),
        (httpx.ReadError("reset"), APIConnectionError),
        (httpx.ConnectTimeout("slow"), APITimeoutError),
        (httpx.ReadTimeout("slow"), APITimeoutError),
    ],
)
def test_lost_connections_are_retried_twice_then_raised_with_their_cause(
    call: Caller, cause: httpx.TransportError, kind: type[MHError]
) -> None:
    route = respx.get(CONVERSATIONS).mock(side_effect=cause)
    with pytest.raises(APIConnectionError) as caught:
        call(lambda client: client.conversations.list(q="secret"))
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, type(cause))
    assert "secret" not in str(caught.value)
    assert route.call_count == 3
    assert len(call.slept) == 2


@respx.mock
def test_a_password_in_the_address_is_not_repeated_in_errors() -> None:
    respx.get(host="platform.test").mock(side_effect=httpx.ConnectError("refused"))
    client = Client("http://somebody:secret@platform.test", max_retries=0)
    with client, pytest.raises(APIConnectionError) as caught:
        client.conversations.get(7)
    assert "platform.test" in str(caught.value)
    assert "secret" not in str(caught.value)


@respx.mock
@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_retries_hide_a_transient_error(call: Caller, status: int) -> None:
    route = respx.get(f"{CONVERSATIONS}/7")
    route.side_effect = [httpx.Response(status), httpx.ReadTimeout("slow"), httpx.Response(200, json=ROW)]
    assert call(get).id == 7
    assert route.call_count == 3
    assert 0 <= call.slept[0] <= 0.5
    assert 0 <= call.slept[1] <= 1.0


@respx.mock
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 500, 501])
def test_other_errors_are_not_retried(call: Caller, status: int) -> None:
    route = respx.get(f"{CONVERSATIONS}/7").respond(status)
    with pytest.raises(APIStatusError):
        call(get)
    assert route.call_count == 1
    assert call.slept == []


@respx.mock
def test_a_create_is_retried_with_one_key_also_while_the_first_is_in_progress(call: Caller) -> None:
    route = respx.post(CONVERSATIONS)
    route.side_effect = [httpx.ReadTimeout("slow"), httpx.Response(409), httpx.Response(201, json=ROW)]
    assert call(create).id == 7
    assert len({seen.request.headers["Idempotency-Key"] for seen in route.calls}) == 1
    assert len({seen.request.content for seen in route.calls}) == 1


@respx.mock
@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), 429, 503])
def test_an_answer_is_retried_if_no_model_was_called(call: Caller, fault: httpx.TransportError | int) -> None:
    route = respx.post(ANSWERS)
    first = httpx.Response(fault) if isinstance(fault, int) else fault
    route.side_effect = [first, httpx.Response(200, json=ANSWER)]
    assert call(ask).answer == "a"
    assert route.call_count == 2


@respx.mock
@pytest.mark.parametrize("fault", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone"), 408, 502, 504])
def test_an_answer_that_may_have_called_a_model_is_not_retried(call: Caller, fault: httpx.TransportError | int) -> None:
    route = respx.post(ANSWERS)
    route.side_effect = [httpx.Response(fault) if isinstance(fault, int) else fault]
    with pytest.raises(MHError):
        call(ask)
    assert route.call_count == 1


@respx.mock
def test_retry_after_is_honoured_unless_it_is_too_long(call: Caller) -> None:
    route = respx.get(f"{CONVERSATIONS}/7")
    route.side_effect = [
        httpx.Response(429, headers={"Retry-After": "20"}),
        httpx.Response(503, headers={"Retry-After": "61"}),
    ]
    with pytest.raises(ServerError) as caught:
        call(get)
    assert call.slept == [20.0]
    assert caught.value.retry_after == 61.0


@respx.mock
def test_an_interrupted_export_is_an_error_and_one_that_cannot_start_is_retried(call: Caller) -> None:
    class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"id\r\n"
            raise httpx.RemoteProtocolError("peer closed connection")

        async def __aiter__(self) -> Any:
            yield b"id\r\n"
            raise httpx.RemoteProtocolError("peer closed connection")

    route = respx.get(f"{CONVERSATIONS}/export")
    route.side_effect = [httpx.Response(503), httpx.Response(200, stream=Broken())]
    with pytest.raises(APIConnectionError):
        call(lambda client: client.conversations.export())
    assert route.call_count == 2


@respx.mock
def test_timeouts_of_the_caller_apply_to_every_call(call: Caller) -> None:
    route = respx.post(ANSWERS).respond(200, json=ANSWER)
    call(ask, timeout=1.5)
    call(ask, timeout=httpx.Timeout(2.0, connect=1.0))
    seen = [made.request.extensions["timeout"] for made in route.calls]
    assert [limits["read"] for limits in seen] == [1.5, 2.0]
    assert [limits["connect"] for limits in seen] == [1.5, 1.0]


@respx.mock
def test_a_quota_that_is_used_up_is_named(call: Caller) -> None:
    problem = {"title": "Too Many Requests", "status": 429, "detail": "Later.", "quota": "search:minute"}
    for body, quota in ((problem, "search:minute"), ({**problem, "quota": 7}, None), ({}, None)):
        respx.get(f"{CONVERSATIONS}/7").respond(429, json=body, headers={"Retry-After": "900"})
        with pytest.raises(RateLimitError) as caught:
            call(get)
        assert (caught.value.quota, caught.value.retry_after) == (quota, 900)
    assert call.slept == []
