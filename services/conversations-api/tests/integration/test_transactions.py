"""Each write is one transaction, committed before the response, and nothing is lost when something fails."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from conversations_api.database import SessionFactory
from conversations_api.main import create_app
from conversations_api.settings import RelaySettings, Settings
from mh_common.settings import RedisSettings
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.waiting import eventually
from redis.asyncio import Redis
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

PATH = "/api/v1/conversations"
NEW = {
    "question": "I can't sleep.",
    "answer": "Get up at a fixed hour.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
}
ON_MYSQL = pytest.mark.parametrize("migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True)
NO_SUCH_THREAD = 1094
"""MySQL's code for a lost connection."""
CREATED, UPDATED, DELETED = (f"{change}MentalHealthConversationJob" for change in ("Created", "Updated", "Deleted"))


@pytest.fixture
def quiet(settings: Settings) -> Settings:
    """Settings with a Redis that is down and a relay that soon waits long, so that outbox rows stay to be looked at."""
    relay = RelaySettings(poll_interval=600)
    return settings.model_copy(update={"redis": RedisSettings(url="redis://127.0.0.1:1/0"), "relay": relay})


@contextmanager
def before_commit(action: Any) -> Iterator[None]:
    """Run `action` with each connection that is about to commit."""
    event.listen(Engine, "commit", action)
    try:
        yield
    finally:
        event.remove(Engine, "commit", action)


def assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    for internal in ("mental_health", "SELECT", "UPDATE", "sqlalchemy", "pymysql", "sqlite", "sleep"):
        assert internal not in answer.text


async def test_each_change_adds_a_job_for_the_worker(run_app: RunApp, quiet: Settings, query: RunQuery) -> None:
    async with run_app(quiet) as client:
        one = (await client.post(PATH, json=NEW)).json()["id"]
        two, three = (await client.post(f"{PATH}/bulk", json={"items": [NEW, NEW]})).json()["ids"]
        await client.put(f"{PATH}/{one}", json={**NEW, "answer": "x"})
        await client.patch(f"{PATH}/{one}", json={"answer": "y"})
        await client.delete(f"{PATH}/{one}")
        await client.post(f"{PATH}/bulk-delete", json={"ids": [three, two, 424242]})
    owed = await query("SELECT job, source_id FROM index_outbox ORDER BY id")
    assert owed[:6] == [
        (CREATED, one),
        (CREATED, two),
        (CREATED, three),
        (UPDATED, one),
        (UPDATED, one),
        (DELETED, one),
    ]
    assert sorted(owed[6:]) == [(DELETED, two), (DELETED, three)]


async def test_writes_succeed_without_redis(run_app: RunApp, quiet: Settings) -> None:
    async with run_app(quiet) as client:
        assert (await client.post(PATH, json=NEW)).status_code == 201
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["ready"] is True
        assert ready.json()["dependencies"]["database"]["ok"] is True
        assert ready.json()["dependencies"]["redis"]["ok"] is False


async def test_the_job_is_queued_right_after_the_commit(run_app: RunApp, settings: Settings) -> None:
    """Woken by the commit: the relay's own next look would come in ten minutes."""
    async with Redis.from_url(settings.redis.url) as redis:
        await redis.flushdb()
        async with run_app(settings.model_copy(update={"relay": RelaySettings(poll_interval=600)})) as client:
            created = (await client.post(PATH, json=NEW)).json()
            await eventually(lambda: redis.llen("index"))
        messages = await redis.lrange("index", 0, -1)
        assert len(messages) == 1
        assert CREATED.encode() in messages[0]
        await redis.flushdb()
    assert created["index_status"] == "pending"


async def test_the_commit_precedes_the_answer(settings: Settings, row_counts: Any) -> None:
    seen: dict[str, int] = {}
    body = httpx.Request("POST", "http://api", json=NEW)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body.read(), "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 201
            seen.update(await row_counts())

    async with LifespanManager(create_app(settings), startup_timeout=60, shutdown_timeout=60) as manager:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": b"",
            "headers": [(name.lower(), value) for name, value in body.headers.raw],
        }
        await manager.app(scope, receive, send)
    assert seen["mental_health_conversations"] == 1
    assert seen["index_states"] == 1


async def test_a_failed_commit_is_never_answered_as_success(client: httpx.AsyncClient, row_counts: Any) -> None:
    def fail(_: Connection) -> None:
        raise RuntimeError("I can't sleep.")

    with before_commit(fail):
        answer = await client.post(PATH, json=NEW)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "sleep" not in answer.text
    assert "RuntimeError" not in answer.text
    assert await row_counts() == {}


async def test_a_failed_commit_leaves_nothing_for_the_next_transaction(
    client: httpx.AsyncClient, query: RunQuery
) -> None:
    def fail(_: Connection) -> None:
        raise RuntimeError

    with before_commit(fail):
        assert (await client.post(PATH, json=NEW)).status_code == 500
    created = (await client.post(PATH, json=NEW)).json()
    assert await query("SELECT id FROM mental_health_conversations") == [(created["id"],)]


async def test_work_that_fails_midway_leaves_nothing(
    client: httpx.AsyncClient, query: RunQuery, row_counts: Any
) -> None:
    await query("ALTER TABLE index_outbox RENAME TO hidden")
    try:
        answer = await client.post(PATH, json=NEW, headers={"Idempotency-Key": "k"})
    finally:
        await query("ALTER TABLE hidden RENAME TO index_outbox")
    assert answer.status_code == 500
    assert "index_outbox" not in answer.text
    assert await row_counts() == {}


@ON_MYSQL
async def test_a_connection_lost_before_the_commit_is_a_temporary_error(
    client: httpx.AsyncClient, query: RunQuery
) -> None:
    def lose(connection: Connection) -> None:
        connection.execute(text("KILL CONNECTION_ID()"))

    with before_commit(lose):
        answer = await client.post(PATH, json=NEW)
    assert_unavailable(answer)
    assert await query("SELECT * FROM mental_health_conversations") == []
    assert (await client.post(PATH, json=NEW)).status_code == 201


@ON_MYSQL
async def test_connections_that_the_server_closed_are_replaced(client: httpx.AsyncClient, query: RunQuery) -> None:
    created = (await client.post(PATH, json=NEW)).json()
    path = f"{PATH}/{created['id']}"
    assert (await client.get(path)).status_code == 200
    own = (await query("SELECT CONNECTION_ID()"))[0][0]
    for (connection,) in await query(
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND command = 'Sleep'"
    ):
        if connection == own:
            continue
        try:
            await query(f"KILL {connection}")
        except DBAPIError as error:
            # That of an earlier test may have gone by now.
            if error.orig is None or error.orig.args[0] != NO_SUCH_THREAD:
                raise
    assert (await client.get(path)).status_code == 200
    assert (await client.patch(path, json={"answer": "x"})).status_code == 200


async def test_one_of_many_changes_of_the_same_version_wins(client: httpx.AsyncClient) -> None:
    created = (await client.post(PATH, json=NEW)).json()
    path = f"{PATH}/{created['id']}"
    changes = [client.patch(path, json={"answer": f"{n}"}, headers={"If-Match": '"1"'}) for n in range(20)]
    answers = await asyncio.gather(*changes)
    assert sorted(answer.status_code for answer in answers) == [200] + 19 * [412]
    (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert (await client.get(path)).json() == winner
    assert winner["version"] == 2


async def test_many_changes_without_a_precondition_are_all_counted(client: httpx.AsyncClient) -> None:
    path = f"{PATH}/{(await client.post(PATH, json=NEW)).json()['id']}"
    answers = await asyncio.gather(*(client.patch(path, json={"answer": f"{n}"}) for n in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 22))
    times = [answer.json()["updated_at"] for answer in sorted(answers, key=lambda answer: answer.json()["version"])]
    assert times == sorted(set(times))


async def test_a_row_locked_for_long_is_a_temporary_error(
    run_app: RunApp, settings: Settings, sessions: SessionFactory
) -> None:
    impatient = settings.model_copy(update={"database": settings.database.model_copy(update={"lock_timeout": 3})})
    async with run_app(impatient) as client:
        path = f"{PATH}/{(await client.post(PATH, json=NEW)).json()['id']}"
        async with sessions.begin() as session:
            await session.execute(text("UPDATE mental_health_conversations SET version = 7"))
            assert_unavailable(await client.patch(path, json={"answer": "x"}))
            # Readers do not wait.
            assert (await client.get(path)).json()["version"] == 1
        assert (await client.patch(path, json={"answer": "x"})).json()["version"] == 8


async def test_too_many_requests_for_the_connections_are_said_to_come_too_fast(
    run_app: RunApp, settings: Settings, sessions: SessionFactory
) -> None:
    few = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 3}
    tight = settings.model_copy(update={"database": settings.database.model_copy(update=few)})
    async with run_app(tight) as client:
        path = f"{PATH}/{(await client.post(PATH, json=NEW)).json()['id']}"
        async with sessions.begin() as session:
            # Whoever has the one connection waits for this.
            await session.execute(text("UPDATE mental_health_conversations SET version = 7"))
            both = [asyncio.create_task(client.patch(path, json={"answer": f"{n}"})) for n in range(2)]
            done, waiting = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                assert_unavailable(task.result())
        await asyncio.gather(*waiting)
        assert (await client.patch(path, json={"answer": "x"})).status_code == 200
