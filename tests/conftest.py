"""The whole platform as deployed, accessed through both published clients."""

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
    """Wraps the synchronous client so that it is awaited like the asynchronous one, and one test covers both."""

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
    """Checks an API's error responses against its OpenAPI document."""

    def __init__(self, url: str) -> None:
        self._paths = httpx.get(f"{url}/openapi.json", timeout=60).raise_for_status().json()["paths"]
        self.undocumented: list[str] = []

    def check(self, response: httpx.Response) -> None:
        """Record an error response that the document does not list for its route."""
        request = response.request
        responses = self._route(request.url.path).get(request.method.lower(), {}).get("responses", {})
        if response.is_error and str(response.status_code) not in responses:
            self.undocumented.append(f"{request.method} {request.url.path}: {response.status_code}")

    async def check_async(self, response: httpx.Response) -> None:
        """Do the same as an asynchronous event hook of httpx."""
        self.check(response)

    def _route(self, path: str) -> dict[str, Any]:
        # Literal paths take precedence over templates.
        templates = [path, *(template for template in self._paths if "{" in template)]
        matching = (one for one in templates if re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", one), path))
        return next((self._paths[one] for one in matching if one in self._paths), {})


@asynccontextmanager
async def _connected(kind: type[Client | AsyncClient], url: str) -> AsyncIterator[AsyncClient]:
    """Yield a client of this kind; every error response must be documented in the API's OpenAPI document."""
    contract = Contract(url)
    # Without retries, which could hide a failure.
    if kind is Client:
        with httpx.Client(event_hooks={"response": [contract.check]}) as http:
            yield cast(AsyncClient, Awaited(Client(url, http_client=http, max_retries=0)))
    else:
        async with httpx.AsyncClient(event_hooks={"response": [contract.check_async]}) as awaited_http:
            yield AsyncClient(url, http_client=awaited_http, max_retries=0)
    assert contract.undocumented == []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests that share the platform in one process: starting it takes longer than most of them."""
    for item in items:
        if "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("platform"))


@pytest.fixture(scope="session")
def platform(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerStack]:
    """The platform with a worker and the local model, and its own Milvus and database."""
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
    """Connect a client to a URL: each test runs with both kinds of client."""
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
    """Client of a conversations API without conversations."""
    return await connect_emptied(platform.api_url)


@pytest.fixture
async def rag(platform: ServerStack, connect: ConnectClient[AsyncClient]) -> AsyncClient:
    """Client of rag-api."""
    return await connect(platform.rag_url)
