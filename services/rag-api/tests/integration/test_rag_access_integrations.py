"""How each integration refuses: in the form that its tool expects, whatever is in the body."""

import asyncio
from typing import Any

import httpx
import httpx2
import openai
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent
from mh_common.auth.roles import Scope
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.models import INTERNAL_HISTORY, Conversation
from mh_common.web.access import NO_CREDENTIAL, SECURE_COOKIE
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.testing.fixtures import MakeCaller, RunApp, ServeApp
from rag_api.access import NO_TOKEN
from rag_api.settings import IntegrationSettings, Settings

CHAT = "/v1/chat/completions"
STORE = "/v1/vector_stores/conversations/search"
COUNSELOR = (Scope.SEARCH, Scope.ANSWERS, Scope.CONVERSATIONS_READ)
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a client of our own", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}
JSON = {"Content-Type": "application/json"}
REFUSED = "The stub refuses."
"""What the stub of the conversations API says of a key that it does not know."""

every_integration = pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/search", Scope.SEARCH),
        ("/search-simple", Scope.SEARCH),
        ("/retrieval", Scope.SEARCH),
        ("/api/chat", Scope.ANSWERS),
        (CHAT, Scope.ANSWERS),
        (STORE, Scope.SEARCH),
    ],
)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def body_of(path: str, message: str, *, wrong: bool = False, scope: str | None = None) -> dict[str, Any]:
    """The body of a refusal: a missing credential, a wrong one, or one without a scope."""
    if path == "/retrieval":
        code = 403 if scope else 1002 if wrong else 1001
        return {"error_code": code, "error_msg": message}
    if path == "/api/chat":
        return {"error": message}
    if path.startswith("/v1"):
        kind = "missing_scope" if scope else "invalid_api_key"
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": kind}}
    return {"detail": message}


@every_integration
async def test_who_sends_no_key_is_refused_whatever_the_body(
    running: RunApp, required: Settings, make_caller: MakeCaller, path: str, scope: Scope
) -> None:
    message = "The Authorization header must be: Bearer KEY" if path == "/retrieval" else NO_CREDENTIAL
    async with running(required) as client:
        for scheme in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": make_caller(*COUNSELOR)}):
            response = await client.post(path, content=b"no JSON", headers={**JSON, **scheme})
            assert response.status_code == (403 if path == "/retrieval" else 401)
            assert response.json() == body_of(path, message)


@every_integration
async def test_who_sends_a_wrong_key_is_refused_whatever_the_body(
    running: RunApp, required: Settings, make_caller: MakeCaller, path: str, scope: Scope
) -> None:
    unknown = make_token(TokenKind.API_KEY)
    async with running(required) as client:
        for token, message in ((unknown, REFUSED), ("sk-of-another-service", NO_TOKEN)):
            response = await client.post(path, content=b"no JSON", headers={**JSON, **bearer(token)})
            assert response.status_code == (403 if path == "/retrieval" else 401)
            assert response.json() == body_of(path, message, wrong=True)
            assert token not in response.text


@every_integration
async def test_whose_key_lacks_a_scope_is_told_which(
    running: RunApp, required: Settings, make_caller: MakeCaller, path: str, scope: Scope
) -> None:
    key = make_caller(*(one for one in COUNSELOR if one is not scope))
    async with running(required) as client:
        response = await client.post(path, content=b"no JSON", headers={**JSON, **bearer(key)})
    assert response.status_code == 403
    message = f"This needs the scope {scope}. Use a key that has it; a key has at most the scopes of its owner's role."
    assert response.json() == body_of(path, message, scope=scope)


@pytest.mark.parametrize("path", ["/search", "/retrieval", "/api/chat", CHAT, STORE, "/mcp"])
async def test_who_sends_a_key_and_a_cookie_is_told_to_send_one(
    running: RunApp, required: Settings, make_caller: MakeCaller, path: str
) -> None:
    both = {**bearer(make_caller(*COUNSELOR)), "Cookie": f"{SECURE_COOKIE}={make_caller(*COUNSELOR)}"}
    async with running(required) as client:
        response = await client.post(path, content=b"no JSON", headers={**JSON, **both})
    assert response.status_code == (422 if path == "/search" else 400)
    assert "send only one" in response.text
    assert "no JSON" not in response.text


@every_integration
async def test_whose_key_reads_no_conversations_is_told_so(
    running: RunApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    path: str,
    scope: Scope,
) -> None:
    bodies: dict[str, Any] = {
        "/retrieval": {"knowledge_id": "conversations", "query": "fall asleep"},
        "/api/chat": {"user_message": "fall asleep"},
        CHAT: {"model": "mental-health", "messages": [{"role": "user", "content": "fall asleep"}]},
    }
    key = make_caller(Scope.SEARCH, Scope.ANSWERS)
    async with running(required) as client:
        response = await client.post(path, json=bodies.get(path, {"query": "fall asleep"}), headers=bearer(key))
    assert response.status_code == 403
    message = "This needs the scope conversations:read. Use a key or an account that has it."
    assert response.json() == body_of(path, message, scope="conversations:read")


async def test_the_documents_need_a_key_that_reads(
    running: RunApp, required: Settings, make_caller: MakeCaller, conversations_stub: StubConversations
) -> None:
    async with running(required) as client:
        none = await client.get("/documents", params={"limit": "many"})
        other = await client.get("/documents", headers=bearer(make_caller(Scope.SEARCH, Scope.ANSWERS)))
    assert (none.status_code, none.json()) == (401, {"detail": NO_CREDENTIAL})
    assert other.status_code == 403
    assert "conversations:read" in other.json()["detail"]
    assert conversations_stub.asked_for("/api/v1/conversations") == []


async def test_openais_client_understands_the_refusals(
    served: ServeApp, required: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    def client(url: str, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20)

    with served(required) as url:
        async with client(url, make_caller(*COUNSELOR)) as right:
            assert [model.id for model in (await right.models.list()).data] == ["mental-health"]
            assert (await right.vector_stores.search("conversations", query="fall asleep")).data
        async with client(url, make_token(TokenKind.API_KEY)) as wrong:
            with pytest.raises(openai.AuthenticationError) as unknown:
                await wrong.models.list()
            with pytest.raises(openai.AuthenticationError):
                await wrong.embeddings.create(model="any", input="a route that does not exist")
        async with client(url, make_caller()) as poor:
            assert (await poor.models.list()).data
            with pytest.raises(openai.PermissionDeniedError, match="needs the scope search"):
                await poor.vector_stores.search("conversations", query="fall asleep")
            with pytest.raises(openai.NotFoundError):
                await poor.embeddings.create(model="any", input="a route that does not exist")
    assert unknown.value.code == "invalid_api_key"


async def test_the_users_that_chat_programs_name_do_not_count(
    served: ServeApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
) -> None:
    conversations_stub.history.clear()
    named = {"X-OpenWebUI-User-Id": "bob", "X-User-Id": "bob"}
    messages = [{"role": "user", "content": "fall asleep"}]
    key = make_caller(*COUNSELOR, user_id=9)
    with served(required) as url:
        async with httpx.AsyncClient(base_url=url, headers={**named, **bearer(key)}, timeout=30) as http:
            chat = await http.post(CHAT, json={"model": "mental-health", "messages": messages, "user": "bob"})
            plain = await http.post("/api/chat", json={"user_message": "fall asleep"})
    assert (chat.status_code, plain.status_code) == (200, 200)
    assert [entry.user_id for entry in conversations_stub.history] == ["9", "9"]
    assert conversations_stub.asked_for(INTERNAL_HISTORY) == [key, key]


async def test_the_key_of_a_language_model_is_another_one(
    running: RunApp, required: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    body = {"user_message": "fall asleep", "api_key": "sk-of-the-caller"}
    async with running(required) as client:
        only_that = await client.post("/api/chat", json=body)
        both = await client.post("/api/chat", json=body, headers=bearer(make_caller(*COUNSELOR)))
    assert only_that.status_code == 401
    assert both.status_code == 200
    assert "DOORS_REQUEST_KEYS" in both.text


async def test_mcp_says_how_to_get_in(
    running: RunApp, required: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    at = IntegrationSettings(public_url="https://mh.example.org/")
    async with running(required.model_copy(update={"doors": at})) as client:
        for headers in ({}, bearer(make_token(TokenKind.API_KEY)), {"Authorization": "Bearer another"}):
            response = await client.post("/mcp", content=b"no JSON", headers={**ACCEPT, **headers})
            assert response.status_code == 401
            error = response.json()
            assert (error["jsonrpc"], error["id"], error["error"]["code"]) == ("2.0", None, -32600)
            assert error["error"]["message"]
            url = "https://mh.example.org/.well-known/oauth-protected-resource/mcp"
            assert response.headers["WWW-Authenticate"] == (
                f'Bearer resource_metadata="{url}", scope="answers conversations:read search"'
            )
        for path in ("/.well-known/oauth-protected-resource", url.removeprefix("https://mh.example.org")):
            metadata = await client.get(path)
            assert (metadata.status_code, metadata.json()) == (
                200,
                {
                    "resource": "https://mh.example.org/mcp",
                    "resource_name": "Mental health conversations",
                    "scopes_supported": ["answers", "conversations:read", "search"],
                    "bearer_methods_supported": ["header"],
                },
            )


async def test_mcp_without_the_conversations_api_is_unavailable(
    running: RunApp, required: Settings, make_caller: MakeCaller, statuses: list[int]
) -> None:
    statuses += [500] * 4
    async with running(required) as client:
        response = await client.post("/mcp", json=INITIALIZE, headers={**ACCEPT, **bearer(make_caller(*COUNSELOR))})
    assert (response.status_code, response.json()["error"]["code"]) == (503, -32603)
    assert int(response.headers["Retry-After"]) > 0


async def test_without_accounts_mcp_asks_for_no_key(running: RunApp, settings: Settings) -> None:
    async with running(settings) as client:
        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
            response = await client.get(path)
            assert (response.status_code, "AUTH_MODE=open" in response.text) == (404, True)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_mcps_tools_check_their_scopes_and_call_with_the_callers_key(
    served: ServeApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
    mode: str,
) -> None:
    calls: list[tuple[str, dict[str, Any], Scope]] = [
        ("search", {"query": "fall asleep"}, Scope.SEARCH),
        ("fetch", {"id": "1"}, Scope.CONVERSATIONS_READ),
        ("ask", {"question": "fall asleep"}, Scope.ANSWERS),
    ]

    async def results(url: str, key: str) -> list[str | None]:
        """The error of each call; None if it succeeded."""
        async with (
            httpx2.AsyncClient(headers=bearer(key), timeout=30) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
        ):
            found = []
            for tool, arguments, _ in calls:
                result = await client.call_tool(tool, arguments)
                [*_, last] = result.content
                assert isinstance(last, TextContent)
                found.append(last.text if result.is_error else None)
            return found

    conversations_stub.history.clear()
    full = [make_caller(*COUNSELOR, user_id=number) for number in (21, 22)]
    lacking = {scope: make_caller(*(one for one in COUNSELOR if one is not scope)) for _, _, scope in calls}
    with served(required) as url:
        allowed = await asyncio.gather(*(results(url, key) for key in full))
        refused = {scope: await results(url, key) for scope, key in lacking.items()}
    assert allowed == [[None] * 3] * 2
    for number, (_, _, scope) in enumerate(calls):
        assert (refused[scope][number] or "").startswith(f"403 Forbidden: This needs the scope {scope}."), scope
    assert refused[Scope.SEARCH][1:] == [None, None]
    stored_with = conversations_stub.asked_for(INTERNAL_HISTORY)
    recorded = [(entry.user_id, key) for entry, key in zip(conversations_stub.history, stored_with, strict=True)]
    assert set(zip(("21", "22"), full, strict=True)) <= set(recorded)
    assert len(recorded) == 3


async def test_a_session_gets_into_every_integration(
    running: RunApp, required: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    session = make_caller(*COUNSELOR, token=make_token(TokenKind.SESSION))
    headers = {"Cookie": f"{SECURE_COOKIE}={session}", "Origin": "http://rag-api", **ACCEPT}
    own = required.model_copy(update={"doors": IntegrationSettings(public_url="http://rag-api")})
    async with running(own) as client:
        for path, body in (
            ("/search", {"query": "fall asleep"}),
            ("/retrieval", {"knowledge_id": "conversations", "query": "fall asleep"}),
            ("/api/chat", {"user_message": "fall asleep"}),
            (STORE, {"query": "fall asleep"}),
            ("/mcp", INITIALIZE),
        ):
            assert (await client.post(path, json=body, headers=headers)).status_code == 200, path
