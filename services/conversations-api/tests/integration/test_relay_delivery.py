"""The relay on real databases: everything is published, in order, whatever fails."""

import random
from typing import Any

import pytest
from conversations_api.database import SessionFactory, make_engine, make_session_factory
from conversations_api.models import Base
from conversations_api.outbox import relay as relay_module
from conversations_api.outbox.publisher import PublishError
from conversations_api.outbox.relay import Relay
from conversations_api.settings import DatabaseSettings, RelaySettings
from mh_common.jobs import IndexJob
from mh_devtools.testing.waiting import eventually
from structlog.testing import capture_logs

NEVER_POLLS = RelaySettings(poll_interval=3600)

pytestmark = pytest.mark.usefixtures("short_backoff")


async def test_a_woken_relay_delivers_at_once_in_messages_of_64(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    publisher = recording()
    relay = Relay(sessions, publisher, NEVER_POLLS)
    async with run_relay(relay):
        await outbox.add(IndexJob.CREATED, range(1, 131))
        await outbox.add(IndexJob.DELETED, [1])
        relay.wake()
        await outbox.until_empty()

    ids = tuple(range(1, 131))
    created = [(IndexJob.CREATED, part) for part in (ids[:64], ids[64:128], ids[128:])]
    assert publisher.sent == [*created, (IndexJob.DELETED, (1,))]


async def test_jobs_without_a_wake_are_found_by_polling(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    publisher = recording()
    async with run_relay(Relay(sessions, publisher, RelaySettings(poll_interval=0.01))):
        await outbox.add(IndexJob.UPDATED, [7])
        await outbox.until_empty()

    assert publisher.sent == [(IndexJob.UPDATED, (7,))]


async def test_one_wake_delivers_more_than_a_batch(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    await outbox.add(IndexJob.CREATED, range(1, 26))
    publisher = recording()
    async with run_relay(Relay(sessions, publisher, RelaySettings(poll_interval=3600, batch_size=10))):
        await outbox.until_empty()

    assert [key for _, ids in publisher.sent for key in ids] == list(range(1, 26))


async def test_one_message_names_a_conversation_once(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    for ids in ([5, 6], [5], [7, 6]):
        await outbox.add(IndexJob.UPDATED, ids)
    publisher = recording()
    async with run_relay(Relay(sessions, publisher, NEVER_POLLS)):
        await outbox.until_empty()

    assert publisher.sent == [(IndexJob.UPDATED, (5, 6, 7))]


async def test_failed_sends_are_tried_again_until_everything_is_delivered_in_order(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    outcomes = random.Random(7)

    async def often_fails() -> None:
        if outcomes.random() < 0.6:
            raise PublishError("Down")

    publisher = recording(often_fails)
    expected: list[tuple[IndexJob, tuple[int, ...]]] = []
    for _ in range(4):
        for job in IndexJob:
            await outbox.add(job, [1, 2])
            expected.append((job, (1, 2)))
    with capture_logs() as logs:
        async with run_relay(Relay(sessions, publisher, RelaySettings(poll_interval=3600, max_backoff=0.01))):
            await outbox.until_empty()

    assert publisher.sent == expected
    assert {line["event"] for line in logs} == {relay_module.OUTBOX_PUBLISHED, relay_module.OUTBOX_POSTPONED}


async def test_a_failed_send_releases_its_rows(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "FIRST_BACKOFF", 3600.0)

    async def fails_later() -> None:
        if publisher.sent:
            raise PublishError("Down")

    publisher = recording(fails_later)
    await outbox.add(IndexJob.CREATED, [1])
    await outbox.add(IndexJob.UPDATED, [1, 2])

    async with run_relay(Relay(sessions, publisher, RelaySettings(max_backoff=3600))):
        await outbox.until_left((1, False), (2, False))

    assert publisher.sent == [(IndexJob.CREATED, (1,))]


async def test_waking_does_not_shorten_the_delay(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "FIRST_BACKOFF", 3600.0)

    async def fails() -> None:
        raise PublishError("Down")

    publisher = recording(fails)
    relay = Relay(sessions, publisher, RelaySettings(poll_interval=0.001, max_backoff=3600))
    async with run_relay(relay):
        await outbox.add(IndexJob.CREATED, [1])
        relay.wake()
        await eventually(lambda: publisher.attempts)
        await outbox.until_left((1, False))
        for key in range(2, 30):
            await outbox.add(IndexJob.CREATED, [key])
            relay.wake()

    assert publisher.attempts == 1


async def test_the_relay_survives_a_database_that_is_not_ready(
    empty_database: DatabaseSettings, outbox_of: Any, recording: Any, run_relay: Any
) -> None:
    engine = make_engine(empty_database)
    sessions = make_session_factory(engine)
    outbox = outbox_of(sessions)
    publisher = recording()
    try:
        with capture_logs() as logs:
            async with run_relay(Relay(sessions, publisher, RelaySettings(poll_interval=0.01, max_backoff=0.01))):
                await eventually(lambda: len(logs) >= 3)
                async with engine.begin() as connection:
                    await connection.run_sync(Base.metadata.create_all)
                await outbox.add(IndexJob.CREATED, [1])
                await outbox.until_empty()
    finally:
        await engine.dispose()

    assert publisher.sent == [(IndexJob.CREATED, (1,))]
    assert logs[0]["event"] == relay_module.OUTBOX_DATABASE_FAILED


async def test_the_relay_survives_an_unexpected_error(
    sessions: SessionFactory, outbox: Any, recording: Any, run_relay: Any
) -> None:
    async def breaks_once() -> None:
        if publisher.attempts == 1:
            raise ZeroDivisionError

    publisher = recording(breaks_once)
    await outbox.add(IndexJob.CREATED, [1])
    with capture_logs() as logs:
        async with run_relay(Relay(sessions, publisher, NEVER_POLLS)):
            await outbox.until_empty()

    assert logs[0]["event"] == relay_module.OUTBOX_RELAY_FAILED
    assert publisher.sent == [(IndexJob.CREATED, (1,))]
