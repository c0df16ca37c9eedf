"""Quotas in rag-api: each integration says in its own form that one is used up."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx
import httpx2
import openai
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent
from mh_common.access_settings import RateSettings
from mh_common.auth.roles import Scope
from mh_common.models import Conversation, PrincipalKind
from mh_devtools.testing.fixtures import MakeCaller, RunApp, ServeApp
from rag_api.settings import Settings

SEARCH: Final = "/api/v1/search"
ANSWERS: Final = "/api/v1/answers"
CHAT: Final = "/v1/chat/completions"
STORE: Final = "/v1/vector_stores/conversations/search"
COUNSELOR: Final = (Scope.SEARCH, Scope.ANSWERS, Scope.CONVERSATIONS_READ)
QUERY: Final[dict[str, Any]] = {"query": "fall asleep"}
CHATTED: Final[dict[str, Any]] = {
    "model": "mental-health",
    "messages": [{"role": "user", "content": "fall asleep"}],
}
SEARCHES: Final = "You have asked for 1 searches in a minute, the quota search:minute. Try again in "
ASKED: Final = "You have asked for 1 answers in a minute, the quota answers:minute. Try again in "


@pytest.fixture
def limited(required: Settings) -> Settings:
    """Settings with the smallest quotas of a minute."""
    rate = RateSettings(limits="search:minute=1, answers:minute=1, conversations:read:minute=1")
    return required.model_copy(update={"rate": rate})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def refused(client: httpx.AsyncClient, path: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
    """Repeat a request until it is refused, at most as often as two minutes of the clock allow."""
    for _ in range(3):
        response = await client.post(path, json=body, headers=headers)
        if response.status_code == 429:
            assert 1 <= int(response.headers["Retry-After"]) <= 60
            return response
    raise AssertionError(f"was not refused: {response.text}")


@pytest.mark.parametrize(
    ("path", "body", "message", "where"),
    [
        (SEARCH, QUERY, SEARCHES, ("detail",)),
        ("/search", QUERY, SEARCHES, ("detail",)),
        ("/search-simple", QUERY, SEARCHES, ("detail",)),
        ("/retrieval", {"knowledge_id": "conversations", **QUERY}, SEARCHES, ("error_msg",)),
        (STORE, QUERY, SEARCHES, ("error", "message")),
        (ANSWERS, {"question": "fall asleep"}, ASKED, ("detail",)),
        ("/api/chat", {"user_message": "fall asleep"}, ASKED, ("error",)),
        (CHAT, CHATTED, ASKED, ("error", "message")),
    ],
)
async def test_each_integration_says_it_in_its_own_form(
    running: RunApp,
    limited: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    path: str,
    body: Any,
    message: str,
    where: tuple[str, ...],
) -> None:
    key = bearer(make_caller(*COUNSELOR))
    async with running(limited) as client:
        found = (await refused(client, path, body, key)).json()
        # Whatever is in the body, which is not read.
        assert (await refused(client, path, "no object", key)).json().keys() == found.keys()
    if path == "/retrieval":
        assert found["error_code"] == 429
    if path.startswith("/v1/"):
        assert found["error"]["code"] == "rate_limit_exceeded"
    if path.startswith("/api/v1/"):
        assert found["quota"] == message.split("the quota ")[1].split(".")[0]
    for name in where:
        found = found[name]
    assert found.startswith(message)


async def test_openais_client_knows_it(
    served: ServeApp, limited: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    with served(limited) as url:
        key = make_caller(*COUNSELOR)
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20) as client:
            asked = [client.chat.completions.create(**CHATTED) for _ in range(3)]
            with pytest.raises(openai.RateLimitError, match="the quota answers:minute"):
                await asyncio.gather(*asked)


async def test_the_tools_of_mcp_say_it(
    served: ServeApp, limited: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    with served(limited) as url:
        async with (
            httpx2.AsyncClient(headers=bearer(make_caller(*COUNSELOR)), timeout=30) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            for tool, arguments, quota in (
                ("search", QUERY, "search:minute"),
                ("fetch", {"id": "1"}, "conversations:read:minute"),
                ("ask", {"question": "fall asleep"}, "answers:minute"),
            ):
                results = [await client.call_tool(tool, arguments) for _ in range(3)]
                texts = [one.content[0] for one in results if one.is_error]
                assert texts, tool
                assert all(isinstance(one, TextContent) and f"the quota {quota}" in one.text for one in texts), tool


async def test_each_person_behind_a_key_has_the_answers_of_a_day(
    running: RunApp, required: Settings, make_caller: MakeCaller, indexed: list[Conversation]
) -> None:
    settings = required.model_copy(update={"rate": RateSettings(limits="answers:day=1")})
    key = bearer(make_caller(*COUNSELOR, Scope.ON_BEHALF_OF, kind=PrincipalKind.SERVICE))
    async with running(settings) as client:
        for person in ("ann", "ben"):
            answered = [await client.post(CHAT, json={**CHATTED, "user": person}, headers=key) for _ in range(3)]
            # At midnight there may be another.
            assert (answered[0].status_code, 429 in {one.status_code for one in answered}) == (200, True)
        response = answered[-1]
    assert response.json()["error"]["message"].startswith(
        "You have asked for 1 answers in a day, the quota answers:day"
    )


async def test_a_quota_of_the_conversations_api_is_the_callers_matter(
    running: RunApp,
    required: Settings,
    make_caller: MakeCaller,
    indexed: list[Conversation],
    statuses: list[int],
) -> None:
    """It is not waited for, and not called an outage."""
    key = bearer(make_caller(*COUNSELOR))
    async with running(required) as client:
        assert (await client.post(SEARCH, json=QUERY, headers=key)).status_code == 200
        statuses.append(429)
        response = await client.post(SEARCH, json=QUERY, headers=key)
    assert response.status_code == 429
    assert "Retry-After" in response.headers


async def test_without_accounts_nothing_is_counted(
    running: RunApp, settings: Settings, indexed: list[Conversation]
) -> None:
    open_settings = settings.model_copy(update={"rate": RateSettings(limits="search:minute=1")})
    async with running(open_settings) as client:
        for _ in range(4):
            assert (await client.post(SEARCH, json=QUERY)).status_code == 200
