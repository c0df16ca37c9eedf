"""POST /api/v1/answers: JSON or a stream, depending on the Accept header."""

import httpx
import pytest
from pymilvus import AsyncMilvusClient

PATH = "/api/v1/answers"
QUESTION = "How do I help a patient who cannot fall asleep?"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("text/event-stream", "text/event-stream; charset=utf-8"),
        ("text/*", "text/event-stream; charset=utf-8"),
        ("Text/Event-Stream; charset=utf-8", "text/event-stream; charset=utf-8"),
        ("text/event-stream, */*", "text/event-stream; charset=utf-8"),
        ("application/json, text/event-stream", "application/json"),
        ("application/json;q=0.5, text/event-stream", "text/event-stream; charset=utf-8"),
        ("text/event-stream;q=0.1, */*;q=0.2", "application/json"),
        ("*/*, application/json;q=0", "text/event-stream; charset=utf-8"),
    ],
)
async def test_the_accept_header_selects_the_media_type(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient, accept: str | None, expected: str
) -> None:
    client.headers.pop("Accept")
    headers = {"Accept": accept} if accept else {}
    response = await client.post(PATH, json={"question": QUESTION}, headers=headers)
    assert (response.status_code, response.headers["Content-Type"]) == (200, expected)


@pytest.mark.parametrize("accept", ["text/html", "application/xml, image/*", "text/event-stream;q=0", "*/*;q=high"])
async def test_an_unsupported_media_type_is_rejected(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.post(PATH, json={"question": QUESTION}, headers={"Accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (406, "application/problem+json")
    assert "application/json or text/event-stream" in response.json()["detail"]
