"""People without an account, for whom a service's key acts: each integration's own way to name them."""

from collections.abc import Mapping
from typing import Any, Final

import httpx
import httpx2
import openai
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mh_common.auth.roles import Scope
from mh_common.models import INTERNAL_HISTORY, Conversation, PrincipalKind
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.testing.fixtures import MakeCaller, RunApp, ServeApp
from rag_api.settings import Settings

ANSWERS: Final = "/api/v1/answers"
CHAT: Final = "/v1/chat/completions"
PLAIN: Final = "/api/chat"
COUNSELOR: Final = (Scope.SEARCH, Scope.ANSWERS, Scope.CONVERSATIONS_READ)
ASKED: Final[dict[str, dict[str, Any]]] = {
    ANSWERS: {"question": "fall asleep"},
    PLAIN: {"user_message": "fall asleep"},
    CHAT: {"model": "mental-health", "messages": [{"role": "user", "content": "fall asleep"}]},
}
WAYS: Final[list[tuple[str, dict[str, str], dict[str, str], str]]] = [
    (ANSWERS, {"X-User-Id": "ana"}, {"user_id": "ben"}, "ana"),
    (ANSWERS, {}, {"user_id": "ben"}, "ben"),
    (ANSWERS, {"Accept": "text/event-stream", "X-User-Id": "ana"}, {}, "ana"),
    (PLAIN, {"X-User-Id": "ana"}, {}, "ana"),
    (CHAT, {"X-User-Id": "ana", "X-OpenWebUI-User-Id": "cleo"}, {"user": "ben"}, "ana"),
    (CHAT, {"X-OpenWebUI-User-Id": "cleo"}, {"user": "ben"}, "cleo"),
    (CHAT, {}, {"user": "ben"}, "ben"),
    # What cannot be an id is nobody's: then it is the service's own question.
    (CHAT, {}, {"user": "Dr. Ben"}, "9"),
    (CHAT, {}, {}, "9"),
]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def ask(url: str, path: str, headers: Mapping[str, str], body: Mapping[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        return await http.post(path, json={**ASKED[path], **body}, headers=headers)


@pytest.mark.parametrize(("scopes", "counts"), [(COUNSELOR, False), ((*COUNSELOR, Scope.ON_BEHALF_OF), True)])
async def test_each_way_to_name_a_person_counts_with_the_scope_only(
    served: ServeApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
    scopes: tuple[Scope, ...],
    counts: bool,
) -> None:
    conversations_stub.history.clear()
    key = make_caller(*scopes, user_id=9, kind=PrincipalKind.SERVICE)
    with served(required) as url:
        for path, headers, body, _ in WAYS:
            assert (await ask(url, path, {**headers, **bearer(key)}, body)).status_code == 200
        async with (
            httpx2.AsyncClient(headers={"X-User-Id": "ana", **bearer(key)}, timeout=30) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            assert not (await client.call_tool("ask", {"question": "fall asleep"})).is_error
    # The shutdown waited for the records. They are sent one after the other.
    named = [*(person for *_, person in WAYS), "ana"]
    assert [entry.user_id for entry in conversations_stub.history] == (named if counts else ["9"] * len(named))
    assert set(conversations_stub.asked_for(INTERNAL_HISTORY)) == {key}


async def test_feedback_is_the_persons(
    running: RunApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
) -> None:
    conversations_stub.history.clear()
    key = make_caller(*COUNSELOR, Scope.ON_BEHALF_OF, user_id=9, kind=PrincipalKind.SERVICE)
    ana = {**bearer(key), "X-User-Id": "ana"}
    async with running(required) as client:
        answer_id = (await client.post(ANSWERS, json=ASKED[ANSWERS], headers=ana)).json()["answer_id"]
    async with running(required) as client:
        statuses = [
            (await client.post(f"{ANSWERS}/{answer_id}/feedback", json={"rating": "up"}, headers=headers)).status_code
            for headers in ({**bearer(key), "X-User-Id": "ben"}, bearer(key), ana)
        ]
    assert statuses == [404, 404, 200]


async def test_an_id_that_cannot_be_one_is_refused_where_it_counts(
    running: RunApp, required: Settings, make_caller: MakeCaller
) -> None:
    key = make_caller(*COUNSELOR, Scope.ON_BEHALF_OF, kind=PrincipalKind.SERVICE)
    async with running(required) as client:
        for path, body in ASKED.items():
            refused = await client.post(path, json=body, headers={**bearer(key), "X-User-Id": "two words"})
            assert refused.status_code == 400
            assert "X-User-Id" in refused.text


async def test_openais_client_names_the_user(
    served: ServeApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    conversations_stub: StubConversations,
) -> None:
    conversations_stub.history.clear()
    key = make_caller(*COUNSELOR, Scope.ON_BEHALF_OF, kind=PrincipalKind.SERVICE)
    with served(required) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20) as client:
            await client.chat.completions.create(**ASKED[CHAT], user="clerk_2x7")
    assert [entry.user_id for entry in conversations_stub.history] == ["clerk_2x7"]
