"""What differs on MySQL 9 from the MariaDB that the other tests run on, and the core of the service on it."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from conversations_api.database import SessionFactory
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.settings import Settings
from mh_common.jobs import IndexJob
from mh_common.units import conversation_units
from mh_devtools.testing.fixtures import RunQuery
from sqlalchemy import text

pytestmark = [
    pytest.mark.mysql,
    pytest.mark.slow,
    pytest.mark.parametrize("migrated_database", ["mysql9"], indirect=True),
]

PATH = "/api/v1/conversations"
ROW = {"answer": "an answer", "question_sentiment": "negative", "answer_sentiment": "positive"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The outbox keeps what is written to it."""
    return settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": "redis://127.0.0.1:1/0"})})


async def test_it_is_mysql(query: RunQuery) -> None:
    [(version,)] = await query("SELECT VERSION()")
    assert "MariaDB" not in version
    assert int(version.split(".")[0]) >= 9


async def test_rows_are_written_read_found_changed_counted_and_deleted(client: httpx.AsyncClient) -> None:
    rows = [{"question": f"How do I sleep when I worry, number {number}? 😴 thé", **ROW} for number in range(1000)]
    made = (await client.post(f"{PATH}/bulk", json={"items": rows})).json()
    ids = made["ids"]
    # One statement with many rows, of which the driver reports one key.
    assert ids == list(range(ids[0], ids[0] + 1000))
    first = await client.get(f"{PATH}/{ids[0]}")
    assert first.json()["question"] == rows[0]["question"]
    assert (await client.get(f"{PATH}/{ids[-1]}")).json()["question"] == rows[-1]["question"]
    for words, found in (("sleep", 1000), ("how thé 999", 1), ("😴 number", 1000), ("absent", 0)):
        page = await client.get(PATH, params={"q": words, "limit": 1, "include_total": "true"})
        assert page.json()["total"] == found, words
    change = await client.patch(
        f"{PATH}/{ids[0]}", json={"answer": "another"}, headers={"If-Match": first.headers["ETag"]}
    )
    assert change.json()["version"] == 2
    stats = (await client.get(f"{PATH}/stats")).json()
    assert stats["total"] == 1000
    assert [month["count"] for month in stats["per_month"]] == [1000]
    assert (await client.delete(f"{PATH}/{ids[1]}")).status_code == 204
    assert (await client.get(f"{PATH}/{ids[1]}")).status_code == 404


async def test_each_change_adds_its_job(client: httpx.AsyncClient, query: RunQuery) -> None:
    made = (await client.post(PATH, json={"question": "q", **ROW})).json()
    await client.patch(f"{PATH}/{made['id']}", json={"question": "another"})
    await client.delete(f"{PATH}/{made['id']}")
    jobs = await query("SELECT job FROM index_outbox WHERE source_id = :id ORDER BY id", id=made["id"])
    assert [job for (job,) in jobs] == [IndexJob.CREATED, IndexJob.UPDATED, IndexJob.DELETED]


async def test_a_key_is_used_once_by_requests_at_the_same_time(client: httpx.AsyncClient, query: RunQuery) -> None:
    async def post() -> httpx.Response:
        return await client.post(PATH, json={"question": "q", **ROW}, headers={"Idempotency-Key": "once"})

    answers = await asyncio.gather(*(post() for _ in range(8)))
    # 409 is for those that came while the first was in work; they may ask again.
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert (await post()).status_code == 201
    assert await query("SELECT count(*) FROM mental_health_conversations") == [(1,)]


async def test_a_claim_takes_no_long_planning(sessions: SessionFactory, query: RunQuery) -> None:
    """Two long lists over one index made the optimizer weigh a range for each pair, for seconds; see `_in_order`."""
    async with sessions.begin() as session:
        await OutboxRepository(session).add(IndexJob.CREATED, conversation_units(range(1, 1001)))
    async with sessions.begin() as session:
        await session.execute(text("SET SESSION optimizer_trace = 'enabled=on', optimizer_trace_limit = 10"))
        await session.execute(text("SET SESSION optimizer_trace_offset = 0"))
        assert len(await OutboxRepository(session).claim("me", datetime.now(UTC), 15, 640)) == 640
        traces = (
            "SELECT query, length(trace) + missing_bytes_beyond_max_mem_size FROM information_schema.optimizer_trace"
        )
        considered = {row[0]: row[1] for row in await session.execute(text(traces))}
    assert any("min(index_outbox.id)" in statement for statement in considered)
    # Bytes that tell what the optimizer weighed: some 100 for each range, and 640 lists of 640 make 25 million.
    assert max(considered.values()) < 1_000_000
