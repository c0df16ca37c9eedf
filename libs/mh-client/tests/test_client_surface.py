"""The public interface of the package: names, signatures, types."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any, assert_type

import httpx
import mh_client
import pytest
from mh_client import (
    Answer,
    AnswerEvent,
    ApiKey,
    AsyncClient,
    Client,
    Conversation,
    ConversationPage,
    SearchResult,
    User,
)


def _surface(client: Any) -> dict[str, inspect.Signature]:
    found = {}
    for name in dir(client):
        value = getattr(client, name)
        if name.startswith("_") or isinstance(value, str):
            continue
        if inspect.ismethod(value):
            found[name.replace("aclose", "close")] = inspect.signature(value)
        else:
            found |= {f"{name}.{inner}": signature for inner, signature in _surface(value).items()}
    return found


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    sync, asynchronous = _surface(Client()), _surface(AsyncClient())
    assert sync.keys() == asynchronous.keys()
    assert {name: signature.parameters for name, signature in sync.items()} == {
        name: signature.parameters for name, signature in asynchronous.items()
    }
    assert {
        "search",
        "answer",
        "conversations.list",
        "conversations.export",
        "conversations.review",
        "conversations.restore",
        "index.sync",
        "history.list",
        "identifiers.preview",
        "users.iterate",
        "api_keys.rotate",
        "sessions.end_current",
        "me",
        "about",
        "send",
    } <= sync.keys()


def test_every_method_is_documented() -> None:
    for client in (Client(), AsyncClient()):
        nouns = (client.conversations, client.index, client.experiments, client.history, client.identifiers)
        for noun in (client, *nouns, client.users, client.api_keys, client.sessions, client.identities, client.teams):
            for name, method in inspect.getmembers(noun, inspect.ismethod):
                assert name.startswith("_") or inspect.getdoc(method), name


def _types_are_exact(client: Client) -> None:
    assert_type(client.conversations.get(1), Conversation)
    assert_type(client.conversations.list(ids=[1], sort="-id"), ConversationPage)
    assert_type(client.conversations.iterate(q="x"), Iterator[Conversation])
    assert_type(client.conversations.bulk_create([]), list[int])
    assert_type(client.conversations.export(format="jsonl"), Iterator[bytes])
    assert_type(client.search("x", limit=3), SearchResult)
    assert_type(client.answer_stream("x"), Generator[AnswerEvent])
    assert_type(client.users.update(1, role="curator"), User)
    assert_type(client.api_keys.iterate(), Iterator[ApiKey])


async def _awaited_types_are_exact(client: AsyncClient) -> None:
    assert_type(await client.conversations.get(1), Conversation)
    assert_type(client.conversations.iterate(q="x"), AsyncIterator[Conversation])
    assert_type(await client.answer("x"), Answer)
    assert_type(client.answer_stream("x"), AsyncGenerator[AnswerEvent])


def test_every_public_name_exists() -> None:
    assert sorted(mh_client.__all__) == sorted(set(mh_client.__all__))
    assert all(hasattr(mh_client, name) for name in mh_client.__all__)


def test_the_url_comes_from_the_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MH_URL", raising=False)
    assert Client().base_url == "http://127.0.0.1:8080"
    monkeypatch.setenv("MH_URL", "https://platform.test/api/")
    assert Client().base_url == "https://platform.test/api"
    assert AsyncClient("http://other.test").base_url == "http://other.test"


async def test_a_client_closes_only_its_own_connections() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [], "next_cursor": None})

    transport = httpx.MockTransport(answer)
    with httpx.Client(transport=transport) as http:
        with Client(http_client=http) as client:
            assert client.conversations.list().items == []
        assert not http.is_closed
    async with httpx.AsyncClient(transport=transport) as awaited_http:
        async with AsyncClient(http_client=awaited_http) as awaited:
            assert (await awaited.conversations.list()).items == []
        assert not awaited_http.is_closed
    async with AsyncClient(transport=transport) as closed:
        await closed.conversations.list()
    with pytest.raises(RuntimeError, match="closed"):
        await closed.conversations.list()
