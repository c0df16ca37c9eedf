"""The whole platform as it is deployed, and both published clients in front of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from mh_client import AsyncClient, Client
from mh_devtools.stack.server_stack import ServerStack
from mh_devtools.testing.fixtures import ConnectClient

STREAMS = {"iterate", "export", "answer_stream"}


class Awaited:
    """A synchronous client that is awaited like the asynchronous one, so that one test drives both."""

    def __init__(self, target: object) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found if isinstance(found, str) else Awaited(found)
        if name in STREAMS:
            return lambda *arguments, **named: _awaited_pieces(found(*arguments, **named))

        async def call(*arguments: Any, **named: Any) -> Any:
            return await asyncio.to_thread(found, *arguments, **named)

        return call


async def _awaited_pieces(pieces: Iterator[Any]) -> AsyncIterator[Any]:
    end = object()
    while (piece := await asyncio.to_thread(next, pieces, end)) is not end:
        yield piece


class Contract:
    """An API's own OpenAPI document, and the problems met that it does not tell of."""

    def __init__(self, url: str) -> None:
        self._paths = httpx.get(f"{url}/openapi.json").raise_for_status().json()["paths"]
        self.undocumented: list[str] = []

    def check(self, response: httpx.Response) -> None:
        """Note a problem that the document does not name for its route."""
        request = response.request
        responses = self._route(request.url.path).get(request.method.lower(), {}).get("responses", {})
        if response.is_error and str(response.status_code) not in responses:
            self.undocumented.append(f"{request.method} {request.url.path}: {response.status_code}")

    async def check_async(self, response: httpx.Response) -> None:
        """The same, as httpx's asynchronous client wants it."""
        self.check(response)

    def _route(self, path: str) -> dict[str, Any]:
        # A fixed name goes before an id.
        templates = [path, *(template for template in self._paths if "{" in template)]
        matching = (one for one in templates if re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", one), path))
        return next((self._paths[one] for one in matching if one in self._paths), {})


@asynccontextmanager
async def _connected(kind: type[Client | AsyncClient], url: str) -> AsyncIterator[AsyncClient]:
    """Give a client of this kind; every problem that it met must stand in the API's document."""
    contract = Contract(url)
    # Without retries: none may hide a failure.
    if kind is Client:
        with httpx.Client(event_hooks={"response": [contract.check]}) as http:
            yield cast(AsyncClient, Awaited(Client(url, http_client=http, max_retries=0)))
    else:
        async with httpx.AsyncClient(event_hooks={"response": [contract.check_async]}) as awaited_http:
            yield AsyncClient(url, http_client=awaited_http, max_retries=0)
    assert contract.undocumented == []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run all tests that share the platform: its start takes longer than most of them."""
    for item in items:
        if "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("platform"))


@pytest.fixture(scope="session")
def platform(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerStack]:
    """The platform with a worker and the local model, with a Milvus and a database of its own."""
    stack = ServerStack(
        tmp_path_factory.mktemp("platform"),
        mysql_port=request.getfixturevalue("mariadb").port,
        database="platform",
        redis_url=redis_url.removesuffix("/0") + "/11",
    )
    with stack, stack.worker():
        yield stack


@pytest.fixture(params=[Client, AsyncClient], ids=lambda kind: kind.__name__)
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[ConnectClient[AsyncClient]]:
    """Connect a client to an address: each test runs with both kinds."""
    async with AsyncExitStack() as stack:

        async def to(url: str) -> AsyncClient:
            return await stack.enter_async_context(_connected(request.param, url))

        yield to


@pytest.fixture
def connect_emptied(connect: ConnectClient[AsyncClient]) -> ConnectClient[AsyncClient]:
    """Connect to a conversations API, and delete every conversation there."""

    async def to(url: str) -> AsyncClient:
        client = await connect(url)
        while ids := [row.id for row in (await client.conversations.list(limit=200)).items]:
            await client.conversations.bulk_delete(ids)
        return client

    return to


@pytest.fixture
async def api(platform: ServerStack, connect_emptied: ConnectClient[AsyncClient]) -> AsyncClient:
    """Client of a conversations API that holds no conversation."""
    return await connect_emptied(platform.api_url)


@pytest.fixture
async def rag(platform: ServerStack, connect: ConnectClient[AsyncClient]) -> AsyncClient:
    """Client of the rag-api."""
    return await connect(platform.rag_url)
