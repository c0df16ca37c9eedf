"""Idempotency keys: POSTs that are sent twice."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from conversations_api import purge as purging
from conversations_api.conversations.service import ConversationService
from conversations_api.database import SessionFactory
from conversations_api.idempotency.repository import (
    KEY_LIFETIME,
    IdempotencyRepository,
    IdempotentResult,
    KeyedRequest,
)
from conversations_api.purge import PURGE_FAILED, purge, purge_regularly
from conversations_api.settings import Settings
from mh_common.models import ConversationCreate
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.waiting import eventually, until_logged
from sqlalchemy import text
from structlog.testing import capture_logs

PATH = "/api/v1/conversations"
NEW = {
    "question": "I can't sleep.",
    "answer": "Get up at a fixed hour.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
}
KEY = {"Idempotency-Key": "key-1"}

# SQLite has one writer at a time: there the second request waits and is answered as the first.
beside_other_writers = pytest.mark.parametrize(
    "migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True
)


async def no_keys(query: RunQuery) -> bool:
    return not await query("SELECT * FROM idempotency_keys")


async def count(query: RunQuery) -> int:
    found: int = (await query("SELECT count(*) FROM mental_health_conversations"))[0][0]
    return found


async def test_the_same_post_again_gets_the_same_answer(client: httpx.AsyncClient, query: RunQuery) -> None:
    first = await client.post(PATH, json=NEW, headers=KEY)
    assert "idempotent-replayed" not in first.headers
    # What happened meanwhile does not show: it is the stored answer.
    await client.patch(first.headers["location"], json={"answer": "changed"})
    again = await client.post(PATH, json={**NEW, "question": f" {NEW['question']} "}, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotent-replayed"] == "true"
    assert await count(query) == 1


async def test_bulk_requests_are_replayed_too(client: httpx.AsyncClient, query: RunQuery) -> None:
    body = {"items": [NEW, NEW]}
    first = await client.post(f"{PATH}/bulk", json=body, headers=KEY)
    again = await client.post(f"{PATH}/bulk", json=body, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert await count(query) == 2

    ids = {"ids": [*first.json()["ids"], 424242]}
    other_key = {"Idempotency-Key": "key-2"}
    deleted = await client.post(f"{PATH}/bulk-delete", json=ids, headers=other_key)
    again = await client.post(f"{PATH}/bulk-delete", json=ids, headers=other_key)
    assert (again.status_code, again.json()) == (200, {"deleted": 2})
    assert again.content == deleted.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_key_is_refused_for_another_request(client: httpx.AsyncClient, query: RunQuery) -> None:
    await client.post(PATH, json=NEW, headers=KEY)
    for path, body in (
        (PATH, {**NEW, "answer": "other"}),
        (f"{PATH}/bulk", {"items": [NEW]}),
        (f"{PATH}/bulk-delete", {"ids": [1]}),
    ):
        answer = await client.post(path, json=body, headers=KEY)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
    assert await count(query) == 1


async def test_keys_differ_in_each_letter(client: httpx.AsyncClient, query: RunQuery) -> None:
    for key in ("key", "KEY", "Key", "key."):
        answer = await client.post(PATH, json=NEW, headers={"Idempotency-Key": key})
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
    assert await count(query) == 4


async def test_an_invalid_key_is_a_bad_request(client: httpx.AsyncClient, query: RunQuery) -> None:
    for key in (b"", b"two words", b"x" * 256, b"\xe9", b"tab\there"):
        answer = await client.post(PATH, json=NEW, headers={b"Idempotency-Key": key})
        assert answer.status_code == 400, key
        assert answer.json()["errors"][0]["field"].lower() == "idempotency-key"
    assert (await client.post(PATH, json=NEW, headers={"Idempotency-Key": "x" * 255})).status_code == 201
    assert await count(query) == 1


async def test_a_refused_request_leaves_its_key_free(client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH, json={**NEW, "answer": ""}, headers=KEY)).status_code == 422
    assert (await client.post(PATH, json=NEW, headers=KEY)).status_code == 201


async def test_concurrent_requests_do_the_work_once(client: httpx.AsyncClient, query: RunQuery) -> None:
    answers = await asyncio.gather(*(client.post(PATH, json=NEW, headers=KEY) for _ in range(20)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {201, 409}
    assert 201 in statuses
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in done}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in done) == 1
    assert await count(query) == 1


@beside_other_writers
async def test_a_request_still_being_processed_is_a_conflict(
    client: httpx.AsyncClient, sessions: SessionFactory
) -> None:
    content = ConversationCreate.model_validate(NEW)
    async with sessions.begin() as session:
        await ConversationService(session).add([content], KeyedRequest.of("key-1", f"POST {PATH}", content))
        answer = await client.post(PATH, json=NEW, headers=KEY)
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        # Other keys do not wait for this one.
        assert (await client.post(PATH, json=NEW, headers={"Idempotency-Key": "b"})).status_code == 201
    again = await client.post(PATH, json=NEW, headers=KEY)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")


@beside_other_writers
async def test_a_request_overtaken_while_claiming_its_key_returns_the_other_result(sessions: SessionFactory) -> None:
    request, now = KeyedRequest("key-1", "digest"), datetime.now(UTC)

    class Overtaken(IdempotencyRepository):
        async def _insert(self, request: KeyedRequest, at: datetime) -> None:
            async with sessions.begin() as other:
                keys = IdempotencyRepository(other)
                assert await keys.claim(request, at) is None
                await keys.save_result(request, IdempotentResult([5], at))
            await super()._insert(request, at)

    async with sessions.begin() as session:
        assert await Overtaken(session).claim(request, now) == IdempotentResult([5], now, replayed=True)


@beside_other_writers
async def test_a_finished_request_is_replayed_while_its_key_is_locked(
    client: httpx.AsyncClient, sessions: SessionFactory
) -> None:
    first = await client.post(PATH, json=NEW, headers=KEY)
    async with sessions.begin() as session:
        await session.execute(text("SELECT * FROM idempotency_keys FOR UPDATE"))
        again = await client.post(PATH, json=NEW, headers=KEY)
        assert (again.status_code, again.content) == (201, first.content)


async def test_keys_past_their_lifetime_are_deleted(
    sessions: SessionFactory, query: RunQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "CHUNK", 2)
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        keys = IdempotencyRepository(session)
        for name, age in (("old", KEY_LIFETIME + timedelta(seconds=1)), ("young", KEY_LIFETIME)):
            for number in range(3):
                assert await keys.claim(KeyedRequest(f"{name}-{number}", "digest"), now - age) is None
    assert await purge(sessions, IdempotencyRepository, now - KEY_LIFETIME) == 3
    assert {row[0] for row in await query("SELECT * FROM idempotency_keys")} == {"young-0", "young-1", "young-2"}


@pytest.mark.usefixtures("purged_at_once")
async def test_old_keys_are_deleted_while_the_application_is_running(
    run_app: RunApp, settings: Settings, sessions: SessionFactory, query: RunQuery
) -> None:
    async with sessions.begin() as session:
        old = datetime.now(UTC) - 2 * KEY_LIFETIME
        assert await IdempotencyRepository(session).claim(KeyedRequest("old", "digest"), old) is None
    async with run_app(settings):
        await eventually(lambda: no_keys(query))


@pytest.mark.usefixtures("purged_at_once")
async def test_the_next_purge_catches_up_after_a_failure(sessions: SessionFactory, query: RunQuery) -> None:
    async with sessions.begin() as session:
        old = datetime.now(UTC) - 2 * KEY_LIFETIME
        assert await IdempotencyRepository(session).claim(KeyedRequest("old", "digest"), old) is None
    await query("ALTER TABLE idempotency_keys RENAME TO hidden")
    task = asyncio.create_task(purge_regularly(sessions, IdempotencyRepository, KEY_LIFETIME, interval=0.05))
    try:
        with capture_logs() as logs:
            await until_logged(logs, PURGE_FAILED)
        await query("ALTER TABLE hidden RENAME TO idempotency_keys")
        await eventually(lambda: no_keys(query))
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_no_text_is_stored_with_a_key(client: httpx.AsyncClient, query: RunQuery) -> None:
    await client.post(PATH, json=NEW, headers=KEY)
    kept = str(await query("SELECT * FROM idempotency_keys"))
    assert "sleep" not in kept
    assert "fixed hour" not in kept
