"""The relay on real databases: everything is delivered, in order, whatever fails."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from conversations_api.database import SessionFactory, make_engine, make_session_factory, transaction
from conversations_api.models import Base, OutboxRow
from conversations_api.outbox import relay as relay_module
from conversations_api.outbox.publisher import Publisher, PublishError
from conversations_api.outbox.relay import Relay
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.settings import DatabaseSettings, RelaySettings
from mh_common.jobs import IndexJob, RunJob
from sqlalchemy import select
from structlog.testing import capture_logs

Send = tuple[IndexJob, tuple[int, ...]]

NEVER_POLLS = RelaySettings(poll_interval=3600)


class RecordingPublisher:
    """Keeps what is published. `before` runs ahead of each message and may raise or wait."""

    def __init__(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        self.sent: list[Send] = []
        self.runs: list[tuple[RunJob, int]] = []
        self.attempts = 0
        self._before = before

    async def publish(self, job: IndexJob, ids: Sequence[int]) -> None:
        self.attempts += 1
        if self._before is not None:
            await self._before()
        self.sent.append((job, tuple(ids)))

    async def publish_run(self, job: RunJob, run_id: int) -> None:
        self.attempts += 1
        if self._before is not None:
            await self._before()
        self.runs.append((job, run_id))

    async def close(self) -> None:
        return None


# Checked by mypy: the double keeps to the protocol.
_: type[Publisher] = RecordingPublisher


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "FIRST_BACKOFF", 0.001)


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await end_of(task)


async def end_of(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(30):
        await asyncio.wait([task])
    assert task.cancelled(), "a relay ends by being cancelled only"


async def add(sessions: SessionFactory, job: IndexJob, ids: Sequence[int]) -> None:
    async with transaction(sessions) as session:
        await OutboxRepository(session).add(job, ids)


async def left(sessions: SessionFactory) -> list[tuple[int, bool]]:
    """Return conversation and whether it is claimed, for each row that is still there."""
    async with sessions() as session:
        rows = await session.execute(select(OutboxRow.conversation_id, OutboxRow.claimed_by).order_by(OutboxRow.id))
        return [(row.conversation_id, row.claimed_by is not None) for row in rows]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(6000):
        if await condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("this did not come about in time")


async def until_empty(sessions: SessionFactory) -> None:
    async def is_empty() -> bool:
        return not await left(sessions)

    await until(is_empty)


async def test_a_woken_relay_delivers_at_once_in_messages_of_64(sessions: SessionFactory) -> None:
    publisher = RecordingPublisher()
    relay = Relay(sessions, publisher, NEVER_POLLS)
    async with running(relay):
        await add(sessions, IndexJob.CREATED, range(1, 131))
        await add(sessions, IndexJob.DELETED, [1])
        relay.wake()
        await until_empty(sessions)

    ids = tuple(range(1, 131))
    created = [(IndexJob.CREATED, part) for part in (ids[:64], ids[64:128], ids[128:])]
    assert publisher.sent == [*created, (IndexJob.DELETED, (1,))]


async def test_what_nobody_announced_is_found_by_polling(sessions: SessionFactory) -> None:
    publisher = RecordingPublisher()
    async with running(Relay(sessions, publisher, RelaySettings(poll_interval=0.01))):
        await add(sessions, IndexJob.UPDATED, [7])
        await until_empty(sessions)

    assert publisher.sent == [(IndexJob.UPDATED, (7,))]


async def test_one_wake_delivers_more_than_a_batch(sessions: SessionFactory) -> None:
    await add(sessions, IndexJob.CREATED, range(1, 26))
    publisher = RecordingPublisher()
    async with running(Relay(sessions, publisher, RelaySettings(poll_interval=3600, batch_size=10))):
        await until_empty(sessions)

    assert [key for _, ids in publisher.sent for key in ids] == list(range(1, 26))


async def test_one_message_names_a_conversation_once(sessions: SessionFactory) -> None:
    for ids in ([5, 6], [5], [7, 6]):
        await add(sessions, IndexJob.UPDATED, ids)
    publisher = RecordingPublisher()
    async with running(Relay(sessions, publisher, NEVER_POLLS)):
        await until_empty(sessions)

    assert publisher.sent == [(IndexJob.UPDATED, (5, 6, 7))]


async def test_failed_sends_are_tried_again_until_everything_is_delivered_in_order(sessions: SessionFactory) -> None:
    outcomes = random.Random(7)

    async def often_fails() -> None:
        if outcomes.random() < 0.6:
            raise PublishError("Down")

    publisher = RecordingPublisher(often_fails)
    expected: list[Send] = []
    for _ in range(4):
        for job in IndexJob:
            await add(sessions, job, [1, 2])
            expected.append((job, (1, 2)))
    with capture_logs() as logs:
        async with running(Relay(sessions, publisher, RelaySettings(poll_interval=3600, max_backoff=0.01))):
            await until_empty(sessions)

    assert publisher.sent == expected
    assert {line["event"] for line in logs} == {relay_module.OUTBOX_PUBLISHED, relay_module.OUTBOX_POSTPONED}


async def test_a_failed_send_gives_its_rows_back(sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "FIRST_BACKOFF", 3600.0)

    async def fails_later() -> None:
        if publisher.sent:
            raise PublishError("Down")

    publisher = RecordingPublisher(fails_later)
    await add(sessions, IndexJob.CREATED, [1])
    await add(sessions, IndexJob.UPDATED, [1, 2])

    async def is_given_back() -> bool:
        return await left(sessions) == [(1, False), (2, False)]

    async with running(Relay(sessions, publisher, RelaySettings(max_backoff=3600))):
        await until(is_given_back)

    assert publisher.sent == [(IndexJob.CREATED, (1,))]


async def test_wakes_do_not_hasten_the_next_try(sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "FIRST_BACKOFF", 3600.0)

    async def fails() -> None:
        raise PublishError("Down")

    async def is_given_back() -> bool:
        return publisher.attempts > 0 and await left(sessions) == [(1, False)]

    publisher = RecordingPublisher(fails)
    relay = Relay(sessions, publisher, RelaySettings(poll_interval=0.001, max_backoff=3600))
    async with running(relay):
        await add(sessions, IndexJob.CREATED, [1])
        relay.wake()
        await until(is_given_back)
        for key in range(2, 30):
            await add(sessions, IndexJob.CREATED, [key])
            relay.wake()

    assert publisher.attempts == 1


async def test_the_relay_outlives_a_database_that_is_not_ready(empty_database: DatabaseSettings) -> None:
    engine = make_engine(empty_database)
    sessions = make_session_factory(engine)
    publisher = RecordingPublisher()
    try:
        with capture_logs() as logs:
            async with running(Relay(sessions, publisher, RelaySettings(poll_interval=0.01, max_backoff=0.01))):

                async def has_failed() -> bool:
                    return len(logs) >= 3

                await until(has_failed)
                async with engine.begin() as connection:
                    await connection.run_sync(Base.metadata.create_all)
                await add(sessions, IndexJob.CREATED, [1])
                await until_empty(sessions)
    finally:
        await engine.dispose()

    assert publisher.sent == [(IndexJob.CREATED, (1,))]
    assert logs[0]["event"] == relay_module.OUTBOX_DATABASE_FAILED


async def test_the_relay_outlives_an_error_that_nobody_foresaw(sessions: SessionFactory) -> None:
    async def breaks_once() -> None:
        if publisher.attempts == 1:
            raise ZeroDivisionError

    publisher = RecordingPublisher(breaks_once)
    await add(sessions, IndexJob.CREATED, [1])
    with capture_logs() as logs:
        async with running(Relay(sessions, publisher, NEVER_POLLS)):
            await until_empty(sessions)

    assert logs[0]["event"] == relay_module.OUTBOX_RELAY_FAILED
    assert publisher.sent == [(IndexJob.CREATED, (1,))]
