"""The application mounted at /v1 behaves like a part of the main application."""

import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from mh_common.web.problems import UNEXPECTED_ERROR
from mh_common.web.request_ids import REQUEST_COMPLETED
from mh_devtools.testing.exposition import metric_value
from mh_devtools.testing.fixtures import MakeConversation, RunApp, WriteIndex
from rag_api.main import create_app
from rag_api.settings import IntegrationSettings, Settings
from structlog.testing import capture_logs

STORE = "/v1/vector_stores/conversations/search"
CHAT = "https://chat.example.org"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/files", 404),
        ("POST", "/v1/models", 404),
        ("DELETE", "/v1/", 404),
        ("OPTIONS", "/v1/models", 405),
        ("PROPFIND", "/v1/anything", 405),
    ],
)
async def test_unknown_paths_and_methods_use_openais_error_format(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/json")
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert response.headers["X-Request-ID"]
    if status == 405:
        assert response.headers["Allow"]


async def test_requests_are_logged_and_counted_by_the_full_route(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1)])
    routes = {
        "/v1/models/{model}": "/v1/models/gpt-4o",
        "/v1/{path:path}": "/v1/embeddings",
        "/v1/vector_stores/{vector_store_id}/search": STORE,
    }
    before = (await client.get("/metrics")).text
    with capture_logs() as logs:
        await client.get(routes["/v1/models/{model}"], headers={"X-Request-ID": "r-1"})
        await client.post(routes["/v1/{path:path}"], json={})
        found = await client.post(STORE, json={"query": "asleep"})
    after = (await client.get("/metrics")).text

    assert found.json()["data"]
    lines = [line for line in logs if line["event"] == REQUEST_COMPLETED]
    assert [line["route"] for line in lines] == list(routes)
    for route in routes:
        assert metric_value(after, "mh_http_requests_total", route=route) == 1 + metric_value(
            before, "mh_http_requests_total", route=route
        )


async def test_an_unexpected_error_uses_openais_format_and_is_logged_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr("rag_api.search.service.SearchService.search_unscreened", broken)
    with capture_logs() as logs, caplog.at_level(logging.ERROR):
        response = await client.post(STORE, json={"query": "asleep"})
    assert (response.status_code, response.json()["error"]["type"]) == (500, "server_error")
    assert "SELECT" not in response.text
    assert [line["event"] for line in logs].count(UNEXPECTED_ERROR) == 1


async def test_cors_applies_to_the_mounted_application(running: RunApp, required: Settings) -> None:
    integrations = IntegrationSettings(cors_origins=CHAT)
    asked = {"Origin": CHAT, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with running(required.model_copy(update={"doors": integrations})) as client:
        preflight = await client.options(STORE, headers=asked)
        refused = await client.post(STORE, json={}, headers={"Origin": CHAT})
    assert preflight.status_code == 200
    assert refused.status_code == 401
    for response in (preflight, refused):
        assert response.headers["Access-Control-Allow-Origin"] == CHAT
        assert response.headers["X-Request-ID"]


def test_the_openapi_document_lists_the_routes_with_their_key(settings: Settings) -> None:
    app: FastAPI = create_app(settings)
    document = app.openapi()
    routes = [path for path in document["paths"] if path.startswith("/v1")]
    assert routes == [
        "/v1/models",
        "/v1/models/{model}",
        "/v1/chat/completions",
        STORE.replace("conversations", "{vector_store_id}"),
    ]
    for path, scopes in zip(routes, ([], [], ["answers"], ["search"]), strict=True):
        for operation in document["paths"][path].values():
            assert operation["security"] == [{"HTTPBearer": scopes}]
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/ErrorBody"}
    assert "HTTPBearer" in document["components"]["securitySchemes"]
