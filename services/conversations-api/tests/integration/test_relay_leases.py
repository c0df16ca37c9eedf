"""Relays on real databases: leases, takeovers, stopping, and several relays at once."""

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conversations_api.database import SessionFactory, make_engine, make_session_factory
from conversations_api.models import OutboxRow
from conversations_api.outbox import relay as relay_module
from conversations_api.outbox.publisher import PublishError
from conversations_api.outbox.relay import Relay
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.settings import DatabaseSettings, RelaySettings
from mh_common.jobs import IndexJob
from mh_devtools.testing.clock import Clock
from mh_devtools.testing.waiting import eventually
from sqlalchemy import select
from structlog.testing import capture_logs

NEVER_POLLS = RelaySettings(poll_interval=3600)

pytestmark = pytest.mark.usefixtures("short_backoff")


@pytest.mark.parametrize(
    "migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True, scope="session"
)
async def test_a_database_that_hangs_is_given_up_and_asked_again(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    # Shorter than settings allow, so that the test is short.
    hasty = RelaySettings(poll_interval=0.01).model_copy(update={"lease": 0.5})
    async with sessions() as blocker:

        async def the_row_gets_locked_once() -> None:
            if publisher.attempts == 1:
                await blocker.execute(select(OutboxRow).with_for_update())

        publisher = recording(the_row_gets_locked_once)
        await outbox.add(IndexJob.CREATED, [1])

        with capture_logs() as logs:
            async with run_relay(Relay(sessions, publisher, hasty)):
                await eventually(lambda: publisher.sent and logs)
                await blocker.rollback()
                await outbox.until_empty()

    assert logs[0]["event"] == relay_module.OUTBOX_DATABASE_FAILED
    assert set(publisher.sent) == {(IndexJob.CREATED, (1,))}


async def test_a_stopped_relay_finishes_its_message_and_releases_the_rest(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    sending, go_on = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        sending.set()
        await go_on.wait()

    publisher = recording(waits)
    await outbox.add(IndexJob.CREATED, [1])
    await outbox.add(IndexJob.UPDATED, [2])
    async with run_relay(Relay(sessions, publisher, NEVER_POLLS)) as running:
        await sending.wait()
        running.stop()
        await asyncio.sleep(0)
        go_on.set()

    assert publisher.sent == [(IndexJob.CREATED, (1,))]
    assert await outbox.left() == [(2, False)]


@pytest.mark.parametrize("error", [PublishError("Down"), ZeroDivisionError()])
async def test_a_stopped_relay_logs_the_last_failure(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any, error: Exception
) -> None:
    sending, go_on = asyncio.Event(), asyncio.Event()

    async def fails() -> None:
        sending.set()
        await go_on.wait()
        raise error

    await outbox.add(IndexJob.CREATED, [1])
    with capture_logs() as logs:
        async with run_relay(Relay(sessions, recording(fails), NEVER_POLLS)) as running:
            await sending.wait()
            running.stop()
            await asyncio.sleep(0)
            go_on.set()

    assert len(logs) == 1
    assert await outbox.left() == [(1, False)]


async def test_a_hanging_send_does_not_prevent_the_relay_from_stopping(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "STOP_TIMEOUT", 0.01)
    sending = asyncio.Event()

    async def hangs() -> None:
        sending.set()
        await asyncio.Event().wait()

    await outbox.add(IndexJob.CREATED, [1])
    async with run_relay(Relay(sessions, recording(hangs), NEVER_POLLS)):
        await sending.wait()

    await outbox.until_left((1, False))


async def test_rows_of_a_dead_relay_are_taken_over_when_its_lease_ends(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    clock = Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    await outbox.add(IndexJob.CREATED, [1])
    async with sessions.begin() as session:
        await OutboxRepository(session).claim("dead", clock.now, 15.0, 10)
    await outbox.add(IndexJob.UPDATED, [1])
    await outbox.add(IndexJob.CREATED, [2])

    publisher = recording()
    async with run_relay(Relay(sessions, publisher, RelaySettings(poll_interval=0.01, lease=15), clock)):
        await eventually(lambda: publisher.sent == [(IndexJob.CREATED, (2,))])
        clock.now += timedelta(seconds=15)
        await outbox.until_empty()

    assert publisher.sent[1:] == [(IndexJob.CREATED, (1,)), (IndexJob.UPDATED, (1,))]


async def test_slow_sends_stop_before_another_relay_may_take_over(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    clock = Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    claimed_during_send: list[list[int]] = []

    async def takes_long() -> None:
        clock.now += timedelta(seconds=8)
        async with sessions.begin() as session:
            stolen = await OutboxRepository(session).claim("rival", clock.now, 15.0, 10)
            claimed_during_send.append([row.unit.source_id for row in stolen])

    publisher = recording(takes_long)
    for key in range(1, 6):
        await outbox.add(IndexJob.CREATED if key % 2 else IndexJob.UPDATED, [key])
    async with run_relay(Relay(sessions, publisher, RelaySettings(poll_interval=3600, lease=15), clock)):
        await outbox.until_empty()

    assert [ids for _, ids in publisher.sent] == [(1,), (2,), (3,), (4,), (5,)]
    assert claimed_during_send == [[]] * 5


async def test_relays_that_share_the_work_send_each_job_once_and_in_order(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any, database: DatabaseSettings
) -> None:
    luck = random.Random(11)

    async def takes_a_moment() -> None:
        await asyncio.sleep(luck.random() / 500)

    async def write(conversations: range) -> None:
        for job in IndexJob:
            for start in range(conversations.start, conversations.stop, 5):
                await outbox.add(job, range(start, start + 5))
                for relay in relays:
                    relay.wake()

    publisher = recording(takes_a_moment)
    engines = [make_engine(database) for _ in range(3)]
    settings = RelaySettings(poll_interval=0.005, batch_size=4)
    relays = [Relay(make_session_factory(engine), publisher, settings) for engine in engines]
    try:
        async with run_relay(relays[0]), run_relay(relays[1]), run_relay(relays[2]):
            await asyncio.gather(*(write(range(start, start + 25)) for start in (100, 200, 300)))
            await outbox.until_empty()
    finally:
        for engine in engines:
            await engine.dispose()

    history: dict[int, list[IndexJob]] = defaultdict(list)
    for job, ids in publisher.sent:
        for key in ids:
            history[key].append(job)
    assert len(history) == 75
    assert set(map(tuple, history.values())) == {tuple(IndexJob)}
