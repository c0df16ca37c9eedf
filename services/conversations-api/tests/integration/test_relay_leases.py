"""Relays on real databases: leases, takeovers, stopping, and several at work at once."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from conversations_api.database import SessionFactory, make_engine, make_session_factory, transaction
from conversations_api.models import OutboxRow
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


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


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


@pytest.mark.parametrize(
    "migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True, scope="session"
)
async def test_a_database_that_hangs_is_given_up_and_asked_again(sessions: SessionFactory) -> None:
    # Shorter than settings allow, so that the test is short.
    hasty = RelaySettings(poll_interval=0.01).model_copy(update={"lease": 0.5})
    async with sessions() as blocker:

        async def the_row_gets_locked_once() -> None:
            if publisher.attempts == 1:
                await blocker.execute(select(OutboxRow).with_for_update())

        publisher = RecordingPublisher(the_row_gets_locked_once)
        await add(sessions, IndexJob.CREATED, [1])

        async def has_failed() -> bool:
            return bool(publisher.sent and logs)

        with capture_logs() as logs:
            async with running(Relay(sessions, publisher, hasty)):
                await until(has_failed)
                await blocker.rollback()
                await until_empty(sessions)

    assert logs[0]["event"] == relay_module.OUTBOX_DATABASE_FAILED
    assert set(publisher.sent) == {(IndexJob.CREATED, (1,))}


async def test_a_stopped_relay_ends_its_message_and_gives_the_rest_back(sessions: SessionFactory) -> None:
    sending, go_on = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        sending.set()
        await go_on.wait()

    publisher = RecordingPublisher(waits)
    await add(sessions, IndexJob.CREATED, [1])
    await add(sessions, IndexJob.UPDATED, [2])
    task = asyncio.create_task(Relay(sessions, publisher, NEVER_POLLS).run())
    await sending.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await end_of(task)

    assert publisher.sent == [(IndexJob.CREATED, (1,))]
    assert await left(sessions) == [(2, False)]


@pytest.mark.parametrize("error", [PublishError("Down"), ZeroDivisionError()])
async def test_a_stopped_relay_says_what_failed_last(sessions: SessionFactory, error: Exception) -> None:
    sending, go_on = asyncio.Event(), asyncio.Event()

    async def fails() -> None:
        sending.set()
        await go_on.wait()
        raise error

    await add(sessions, IndexJob.CREATED, [1])
    with capture_logs() as logs:
        task = asyncio.create_task(Relay(sessions, RecordingPublisher(fails), NEVER_POLLS).run())
        await sending.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await end_of(task)

    assert len(logs) == 1
    assert await left(sessions) == [(1, False)]


async def test_a_send_that_never_ends_does_not_keep_the_relay_from_stopping(
    sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "STOP_TIMEOUT", 0.01)
    sending = asyncio.Event()

    async def hangs() -> None:
        sending.set()
        await asyncio.Event().wait()

    await add(sessions, IndexJob.CREATED, [1])
    async with running(Relay(sessions, RecordingPublisher(hangs), NEVER_POLLS)):
        await sending.wait()

    async def is_given_back() -> bool:
        return await left(sessions) == [(1, False)]

    await until(is_given_back)


async def test_rows_of_a_dead_relay_are_taken_over_when_its_lease_ends(sessions: SessionFactory) -> None:
    clock = Clock()
    await add(sessions, IndexJob.CREATED, [1])
    async with transaction(sessions) as session:
        await OutboxRepository(session).claim("dead", clock.now, 15.0, 10)
    await add(sessions, IndexJob.UPDATED, [1])
    await add(sessions, IndexJob.CREATED, [2])

    publisher = RecordingPublisher()
    async with running(Relay(sessions, publisher, RelaySettings(poll_interval=0.01, lease=15), clock)):

        async def is_delivered() -> bool:
            return publisher.sent == [(IndexJob.CREATED, (2,))]

        await until(is_delivered)
        clock.now += timedelta(seconds=15)
        await until_empty(sessions)

    assert publisher.sent[1:] == [(IndexJob.CREATED, (1,)), (IndexJob.UPDATED, (1,))]


async def test_slow_sends_stop_before_another_relay_may_take_over(sessions: SessionFactory) -> None:
    clock = Clock()
    claimed_during_send: list[list[int]] = []

    async def takes_long() -> None:
        clock.now += timedelta(seconds=8)
        async with transaction(sessions) as session:
            stolen = await OutboxRepository(session).claim("rival", clock.now, 15.0, 10)
            claimed_during_send.append([row.conversation_id for row in stolen])

    publisher = RecordingPublisher(takes_long)
    for key in range(1, 6):
        await add(sessions, IndexJob.CREATED if key % 2 else IndexJob.UPDATED, [key])
    async with running(Relay(sessions, publisher, RelaySettings(poll_interval=3600, lease=15), clock)):
        await until_empty(sessions)

    assert [ids for _, ids in publisher.sent] == [(1,), (2,), (3,), (4,), (5,)]
    assert claimed_during_send == [[]] * 5


async def test_relays_that_share_the_work_send_each_job_once_and_in_order(
    sessions: SessionFactory, database: DatabaseSettings
) -> None:
    luck = random.Random(11)
    sent: list[Send] = []

    async def takes_a_moment() -> None:
        await asyncio.sleep(luck.random() / 500)

    class SharedRecord(RecordingPublisher):
        def __init__(self) -> None:
            super().__init__(takes_a_moment)
            self.sent = sent

    async def write(conversations: range) -> None:
        for job in IndexJob:
            for start in range(conversations.start, conversations.stop, 5):
                await add(sessions, job, range(start, start + 5))
                for relay in relays:
                    relay.wake()

    engines = [make_engine(database) for _ in range(3)]
    settings = RelaySettings(poll_interval=0.005, batch_size=4)
    relays = [Relay(make_session_factory(engine), SharedRecord(), settings) for engine in engines]
    try:
        async with running(relays[0]), running(relays[1]), running(relays[2]):
            await asyncio.gather(*(write(range(start, start + 25)) for start in (100, 200, 300)))
            await until_empty(sessions)
    finally:
        for engine in engines:
            await engine.dispose()

    history: dict[int, list[IndexJob]] = defaultdict(list)
    for job, ids in sent:
        for key in ids:
            history[key].append(job)
    assert len(history) == 75
    assert set(map(tuple, history.values())) == {tuple(IndexJob)}
