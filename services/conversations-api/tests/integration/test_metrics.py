"""The metrics of the conversations API."""

import asyncio

import httpx
import pytest
from conversations_api.database import make_read_engine, make_session_factory
from conversations_api.gauges import Gauges
from conversations_api.settings import DatabaseSettings, Settings
from mh_common.settings import RedisSettings
from mh_devtools.testing.exposition import metric_value
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.waiting import eventually
from sqlalchemy import event

PATH = "/api/v1/conversations"
ROW = {"question": "q", "answer": "a", "question_sentiment": "neutral", "answer_sentiment": "neutral"}


async def scrape(client: httpx.AsyncClient) -> str:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return answer.text


async def test_requests_are_counted_by_route_and_made_up_words_are_one(client: httpx.AsyncClient) -> None:
    before = await scrape(client)
    await client.get(f"{PATH}/123456")
    await client.get(f"{PATH}/123457")
    for number in range(3):
        await client.get(f"/made/up/{number}")
        await client.request(f"MADEUP{number}", f"/made/up/{number}")
    after = await scrape(client)

    def counted(**labels: str) -> float:
        return metric_value(after, "mh_http_requests_total", **labels) - metric_value(
            before, "mh_http_requests_total", **labels
        )

    assert counted(route=f"{PATH}/{{conversation_id}}", method="GET", status="404") == 2
    assert counted(route="other", method="GET", status="404") == 3
    assert counted(route="other", method="other", status="404") == 3
    assert metric_value(after, "mh_http_request_duration_seconds_count", route=f"{PATH}/{{conversation_id}}") >= 2
    assert "made" not in after.lower()
    assert "123456" not in after


async def test_the_outbox_gauges_show_jobs_until_they_are_published(
    run_app: RunApp, database: DatabaseSettings
) -> None:
    nowhere = Settings(database=database, redis=RedisSettings(url="redis://127.0.0.1:1/0"))
    async with run_app(nowhere) as client:
        for _ in range(3):
            await client.post(PATH, json=ROW)
        text = await scrape(client)
    assert metric_value(text, "mh_database_up") == 1
    assert metric_value(text, "mh_outbox_depth") == 3
    assert metric_value(text, "mh_outbox_oldest_seconds") > 0
    assert metric_value(text, "mh_index_oldest_pending_seconds") > 0
    assert metric_value(text, "mh_index_conversations", status="pending") == 3
    assert metric_value(text, "mh_index_conversations", status="failed") == 0


async def test_scrapes_query_the_database_once_in_two_seconds(database: DatabaseSettings) -> None:
    looks, now = 0, 100.0
    engine = make_read_engine(database)

    def count(*_: object) -> None:
        nonlocal looks
        looks += 1

    event.listen(engine.sync_engine, "checkout", count)
    gauges = Gauges(make_session_factory(engine), ["conversation"], clock=lambda: now)
    await asyncio.gather(*(gauges.refresh() for _ in range(5)))
    now += 1.9
    await gauges.refresh()
    assert looks == 1
    now += 0.2
    await gauges.refresh()
    assert looks == 2
    await engine.dispose()


async def test_the_relay_counts_what_it_delivers(client: httpx.AsyncClient) -> None:
    job = "CreatedMentalHealthConversationJob"
    before = metric_value(await scrape(client), "mh_outbox_published_total", task=job)
    await client.post(PATH, json=ROW)

    async def counted() -> bool:
        return metric_value(await scrape(client), "mh_outbox_published_total", task=job) == before + 1

    await eventually(counted)


async def test_failures_of_the_relay_are_counted(
    run_app: RunApp, database: DatabaseSettings, short_backoff: None
) -> None:
    async with run_app(Settings(database=database, redis=RedisSettings(url="redis://127.0.0.1:1/0"))) as client:
        before = metric_value(await scrape(client), "mh_outbox_failures_total", cause="queue")
        await client.post(PATH, json=ROW)

        async def failed() -> bool:
            return metric_value(await scrape(client), "mh_outbox_failures_total", cause="queue") > before

        await eventually(failed)


@pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)
async def test_without_a_database_only_its_gauges_are_missing(client: httpx.AsyncClient, query: RunQuery) -> None:
    await query("ALTER TABLE index_outbox RENAME TO gone")
    try:
        text = await scrape(client)
    finally:
        await query("ALTER TABLE gone RENAME TO index_outbox")
    assert metric_value(text, "mh_database_up") == 0
    assert "mh_outbox_depth " not in text.replace("# HELP mh_outbox_depth", "").replace("# TYPE mh_outbox_depth", "")
    assert metric_value(text, "mh_http_requests_total") > 0
