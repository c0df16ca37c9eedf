"""Access control of the shipped app: who gets in, and on whose behalf it calls the conversations API."""

import asyncio
import threading
from uuid import UUID

import httpx
import pytest
from mh_common.auth.roles import Scope
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.models import INTERNAL_HISTORY, Conversation
from mh_common.web.access import LOOPBACK_COOKIE, SECURE_COOKIE
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.access import RouteCall, every_call
from mh_devtools.testing.fixtures import ConversationTable, MakeCaller, RunApp, ServeApp
from rag_api.main import create_app
from rag_api.settings import Settings

ABOUT = "/api/v1/about"
ANSWERS = "/api/v1/answers"
ME = "/api/v1/me"
READ = "/api/v1/conversations"
SEARCH = "/api/v1/search"
QUESTION = {"question": "How do I help a patient who cannot fall asleep?"}
QUERY = {"query": "fall asleep"}
EVENTS = {"Accept": "text/event-stream"}
COUNSELOR = (Scope.SEARCH, Scope.ANSWERS, Scope.CONVERSATIONS_READ)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def calls() -> list[RouteCall]:
    """Calls of every route of the shipped app."""
    return list(every_call(create_app(Settings(_env_file=None))))


async def test_each_route_but_those_for_everybody_needs_a_credential(
    running: RunApp, required: Settings, make_caller: MakeCaller, calls: list[RouteCall]
) -> None:
    assert {call.path for call in calls if call.scopes is None} == {
        "/livez",
        "/readyz",
        "/metrics",
        "/healthcheck",
        "/api/health",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
    }
    async with running(required) as client:
        for method, path, _ in (call for call in calls if call.scopes is not None):
            for headers in ({}, bearer(make_token(TokenKind.API_KEY)), {"Cookie": f"{SECURE_COOKIE}=x"}):
                response = await client.request(method, path, headers=headers)
                expected = 403 if path == "/retrieval" or (headers.get("Cookie") and method != "GET") else 401
                assert response.status_code == expected, (method, path)


async def test_each_route_with_scopes_refuses_a_key_without_them(
    running: RunApp, required: Settings, make_caller: MakeCaller, calls: list[RouteCall]
) -> None:
    async with running(required) as client:
        for call in calls:
            if call.scopes:
                others = make_caller(*(scope for scope in COUNSELOR if scope not in call.scopes))
                response = await client.request(call.method, call.path, headers=bearer(others))
                assert response.status_code == 403, call.path
                assert all(scope in response.text for scope in call.scopes), call.path


async def test_each_route_refuses_whatever_the_body(
    running: RunApp, required: Settings, make_caller: MakeCaller, calls: list[RouteCall]
) -> None:
    broken = {"Content-Type": "application/json"}
    poor = bearer(make_caller())
    async with running(required) as client:
        for call in calls:
            if call.scopes is None or call.method == "GET":
                continue
            nobody = await client.request(call.method, call.path, content=b"no JSON", headers=broken)
            assert nobody.status_code == (403 if call.path == "/retrieval" else 401), call.path
            if call.scopes:
                refused = await client.request(call.method, call.path, content=b"no JSON", headers={**broken, **poor})
                assert refused.status_code == 403, call.path


async def test_the_credential_is_checked_before_the_body_is_validated(
    running: RunApp, required: Settings, make_caller: MakeCaller
) -> None:
    async with running(required) as client:
        response = await client.post(SEARCH, json={"limit": "many"})
        refused = await client.post(SEARCH, json={"limit": "many"}, headers=bearer(make_caller(Scope.ANSWERS)))
        invalid = await client.post(SEARCH, json={"limit": "many"}, headers=bearer(make_caller(Scope.SEARCH)))
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer KEY" in response.json()["detail"]
    assert (refused.status_code, refused.json()["missing_scopes"]) == (403, ["search"])
    assert invalid.status_code == 422


async def test_a_caller_is_asked_for_once(
    running: RunApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
) -> None:
    key = make_caller(*COUNSELOR)
    async with running(required) as client:
        for path, body in ((SEARCH, QUERY), ("/search", QUERY), (ANSWERS, QUESTION)):
            assert (await client.post(path, json=body, headers=bearer(key))).status_code == 200
    assert conversations_stub.asked_for(ME) == [key]
    assert set(conversations_stub.asked_for(READ)) == {key}


async def test_a_key_in_the_environment_is_sent_for_nobody(
    running: RunApp,
    settings: Settings,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strong = make_caller(*Scope)
    monkeypatch.setenv("MH_API_KEY", strong)
    key = make_caller(*COUNSELOR)
    async with running(required) as client:
        assert (await client.post(SEARCH, json=QUERY, headers=bearer(key))).status_code == 200
        assert (await client.post(SEARCH, json=QUERY)).status_code == 401
    async with running(settings) as client:
        assert (await client.post(SEARCH, json=QUERY)).status_code == 200
    assert strong not in {*conversations_stub.asked_for(ME), *conversations_stub.asked_for(READ)}


async def test_each_of_many_callers_at_once_reads_with_its_own_credential(
    served: ServeApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed = [make_caller(*COUNSELOR, username=f"ann-{number}") for number in range(6)]
    # Their keys have lost what the search needs to show anything.
    others = [make_caller(Scope.SEARCH, Scope.ANSWERS, username=f"eve-{number}") for number in range(6)]
    # The first reads wait until all of the allowed callers are in the middle of their requests.
    together = threading.Barrier(len(allowed))
    monkeypatch.setattr(conversations_stub, "after_read", lambda ids: together.wait(20) if len(ids) > 1 else None)
    with served(required) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            tokens = [token for pair in zip(allowed, others, strict=True) for token in pair]
            responses = await asyncio.gather(
                *(
                    http.post(("/search", SEARCH)[number % 4 // 2], json=QUERY, headers=bearer(token))
                    for number, token in enumerate(tokens)
                )
            )
    assert [response.status_code for response in responses] == [200, 403] * 6
    assert "conversations:read" in responses[1].text
    assert "conversations:read" in responses[3].text
    assert sorted(map(str, conversations_stub.asked_for(READ))) == sorted(tokens)


@pytest.mark.parametrize("headers", [{}, EVENTS])
async def test_answers_are_read_and_recorded_with_the_callers_credential(
    served: ServeApp,
    required: Settings,
    with_model: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    stub: StubOpenAI,
    conversations_stub: StubConversations,
    headers: dict[str, str],
) -> None:
    conversations_stub.history.clear()
    keys = {str(number): make_caller(*COUNSELOR, username=f"user-{number}", user_id=number) for number in (11, 12, 13)}
    limits = with_model.search.model_copy(update={"relevance_threshold": 0.01})
    settings = with_model.model_copy(update={"auth": required.auth, "search": limits})
    with served(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            responses = await asyncio.gather(
                *(
                    # Whom the header names does not count, even if it is no name.
                    http.post(ANSWERS, json=QUESTION, headers={**headers, **bearer(key), "X-User-Id": "some body"})
                    for key in keys.values()
                )
            )
    assert {response.status_code for response in responses} == {200}
    # The shutdown waited for the records. They are sent one after the other.
    recorded = [entry.user_id for entry in conversations_stub.history]
    assert sorted(map(str, recorded)) == sorted(keys)
    assert conversations_stub.asked_for(INTERNAL_HISTORY) == [keys[str(user)] for user in recorded]
    assert set(conversations_stub.asked_for(READ)) == set(keys.values())
    # Neither does it leave the platform.
    assert stub.requests
    assert not [key for key in keys.values() for sent in stub.requests if key in str(sent)]


async def test_feedback_is_the_callers(
    running: RunApp, required: Settings, make_caller: MakeCaller, conversations_stub: StubConversations
) -> None:
    own, other = UUID(int=1), UUID(int=2)
    conversations_stub.answers.update({own: "7", other: "bob"})
    key = make_caller(*COUNSELOR, user_id=7)
    async with running(required) as client:
        statuses = [
            (
                await client.post(
                    f"{ANSWERS}/{answer}/feedback",
                    json={"rating": "up"},
                    headers={**bearer(key), "X-User-Id": "bob"},
                )
            ).status_code
            for answer in (own, other)
        ]
    conversations_stub.answers.clear()
    conversations_stub.feedback.clear()
    assert statuses == [200, 404]


async def test_a_key_revoked_meanwhile_is_shown_nothing_and_then_out(
    running: RunApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
) -> None:
    key = make_caller(*COUNSELOR)
    async with running(required) as client:
        assert (await client.post(SEARCH, json=QUERY, headers=bearer(key))).status_code == 200
        conversations_stub.callers = {}
        assert (await client.get(ABOUT, headers=bearer(key))).status_code == 200
        for path, body in ((SEARCH, QUERY), (ANSWERS, QUESTION)):
            response = await client.post(path, json=body, headers=bearer(key))
            assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await client.get(ABOUT, headers=bearer(key))).status_code == 401


async def test_without_the_conversations_api_only_known_callers_get_in(
    running: RunApp, required: Settings, make_caller: MakeCaller, statuses: list[int]
) -> None:
    known, unknown = make_caller(*COUNSELOR), make_caller(*COUNSELOR)
    async with running(required) as client:
        assert (await client.get(ABOUT, headers=bearer(known))).status_code == 200
        statuses += [500] * 10
        assert (await client.get(ABOUT, headers=bearer(known))).status_code == 200
        for path in (ABOUT, "/documents", "/v1/models"):
            response = await client.get(path, headers=bearer(unknown))
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) > 0
            assert "cannot be checked now" in response.text


async def test_health_needs_no_credential(running: RunApp, required: Settings, make_caller: MakeCaller) -> None:
    async with running(required) as client:
        for path in ("/livez", "/readyz", "/healthcheck", "/api/health", "/metrics"):
            assert (await client.get(path)).status_code == 200


async def test_a_browser_sends_its_cookie(
    running: RunApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
) -> None:
    session = make_caller(*COUNSELOR, token=make_token(TokenKind.SESSION))
    settings = required.model_copy(
        update={"auth": required.auth.model_copy(update={"origins": "https://notes.example.org"})}
    )
    async with running(settings) as client:
        for name in (SECURE_COOKIE, LOOPBACK_COOKIE):
            cookie = {"Cookie": f"{name}={session}"}
            for origin in ({"Origin": "http://rag-api"}, {"Origin": "https://notes.example.org"}):
                assert (await client.post(SEARCH, json=QUERY, headers={**cookie, **origin})).status_code == 200
            for path in (SEARCH, "/search", "/retrieval", "/api/chat", "/v1/chat/completions", "/mcp"):
                foreign = await client.post(path, json=QUERY, headers={**cookie, "Origin": "https://evil.example.org"})
                assert foreign.status_code == 403, path
            both = await client.post(SEARCH, json=QUERY, headers={**cookie, **bearer(session)})
            assert both.status_code == 400
    assert set(conversations_stub.asked_for(READ)) == {session}


async def test_without_accounts_no_credential_counts_and_none_is_passed_on(
    running: RunApp,
    settings: Settings,
    table: ConversationTable,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
) -> None:
    conversations_stub.received.clear()
    async with running(settings) as client:
        for headers in ({}, bearer("whatever"), {"Cookie": f"{SECURE_COOKIE}=x", **bearer("x")}):
            for path in (SEARCH, "/search"):
                assert (await client.post(path, json=QUERY, headers=headers)).status_code == 200
            assert (await client.get(ABOUT, headers=headers)).status_code == 200
    assert {credential for _, credential in conversations_stub.received} == {None}
    assert conversations_stub.asked_for(ME) == []


async def test_a_conversations_api_with_accounts_is_not_opened_by_an_open_rag_api(
    running: RunApp, settings: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    async with running(settings) as client:
        assert (await client.post(SEARCH, json=QUERY, headers=bearer(make_caller(*COUNSELOR)))).status_code == 401
