"""CORS: web pages of other origins are blocked by the browser unless the settings allow them."""

import httpx
import pytest
from mh_devtools.testing.fixtures import MakeConversation, RunApp, WriteIndex
from rag_api.settings import IntegrationSettings, Settings

CHAT, OTHER = "https://chat.example.org", "https://evil.example.org"
PATHS = ["/search", "/retrieval", "/api/v1/search"]


def preflight(origin: str) -> dict[str, str]:
    """The headers of a browser's preflight request before JSON with a key."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }


@pytest.mark.parametrize("path", PATHS)
async def test_cors_is_disabled_by_default(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, path: str
) -> None:
    await index([conversation(1)])
    asked = await client.options(path, headers=preflight(CHAT))
    assert asked.status_code >= 400
    sent = await client.post(path, json={"query": "asleep", "knowledge_id": "conversations"}, headers={"Origin": CHAT})
    for response in (asked, sent):
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", PATHS)
async def test_cors_allows_the_configured_origins(
    running: RunApp, settings: Settings, index: WriteIndex, conversation: MakeConversation, path: str
) -> None:
    await index([conversation(1)])
    integrations = IntegrationSettings(cors_origins=f"http://localhost:3000 , {CHAT}")
    async with running(settings.model_copy(update={"doors": integrations})) as client:
        for origin in ("http://localhost:3000", CHAT):
            asked = await client.options(path, headers=preflight(origin))
            assert asked.status_code == 200
            assert asked.headers["access-control-allow-origin"] == origin
            assert "POST" in asked.headers["access-control-allow-methods"]
            assert asked.headers["access-control-allow-headers"] == "authorization,content-type"
            # The page can read error responses, too.
            for body in ({"query": "asleep", "knowledge_id": "conversations"}, {}):
                sent = await client.post(path, json=body, headers={"Origin": origin})
                assert sent.headers["access-control-allow-origin"] == origin
                assert "X-Request-ID" in sent.headers["access-control-expose-headers"]
                assert "access-control-allow-credentials" not in sent.headers
        for origin in (OTHER, f"{CHAT}.evil.example.org", "http://chat.example.org", "null"):
            asked = await client.options(path, headers=preflight(origin))
            assert asked.status_code == 400
            sent = await client.post(path, json={"query": "asleep"}, headers={"Origin": origin})
            for response in (asked, sent):
                assert "access-control-allow-origin" not in response.headers


async def test_cors_allows_any_origin_with_a_star(
    running: RunApp, settings: Settings, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1)])
    integrations = IntegrationSettings(cors_origins="*")
    async with running(settings.model_copy(update={"doors": integrations})) as client:
        asked = await client.options("/search", headers=preflight(OTHER))
        sent = await client.post("/search", json={"query": "asleep"}, headers={"Origin": OTHER})
    assert asked.headers["access-control-allow-origin"] == sent.headers["access-control-allow-origin"] == "*"
