"""Serving the stubs: errors that a test must see, and what must not block it."""

import asyncio
import socket
import threading

import httpx
import pytest
import uvicorn
from mh_devtools.stubs.server import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/hello", hello)])


async def fail(*_: object, **__: object) -> None:
    raise OSError("Too many open files")


def test_it_serves_until_the_block_is_left() -> None:
    with serving(APP) as url, serving(APP) as other:
        assert url != other
        assert [httpx.get(f"{one}/hello").text for one in (url, other)] == ["hello", "hello"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/hello")


def test_a_request_that_is_never_answered_does_not_keep_the_server() -> None:
    arrived = threading.Event()

    async def never(_: Request) -> Response:
        arrived.set()
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        return await answer

    with serving(Starlette(routes=[Route("/", never)])) as url:
        address = httpx.URL(url)
        caller = socket.create_connection((address.host, address.port))
        caller.sendall(b"GET / HTTP/1.1\r\nHost: stub\r\n\r\n")
        assert arrived.wait(30)
    caller.close()


def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Server, "startup", fail)
    with pytest.raises(RuntimeError, match="did not start") as failure, serving(APP):
        pass
    assert str(failure.value.__cause__) == "Too many open files"


def test_an_error_that_ends_the_server_is_raised_at_the_end_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Server, "main_loop", fail)
    with pytest.raises(OSError, match="Too many"), serving(APP):
        pass
