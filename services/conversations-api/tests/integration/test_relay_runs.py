"""The relay publishes messages about runs, and leaves rows of other releases alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conversations_api.database import SessionFactory
from conversations_api.index_runs.service import IndexRunService
from conversations_api.models import OutboxRow
from conversations_api.outbox.publisher import Publisher, PublishError
from conversations_api.outbox.relay import OUTBOX_UNKNOWN_JOB, RUN_RESEND, Relay
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.settings import RelaySettings
from mh_common.jobs import IndexJob, RunJob
from mh_common.models import IndexRunKind
from mh_common.units import UnitKey, conversation_unit, conversation_units
from mh_devtools.testing.clock import Clock
from mh_devtools.testing.waiting import eventually, until_logged
from sqlalchemy import insert
from structlog.testing import capture_logs

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OFTEN = RelaySettings(poll_interval=0.01, max_backoff=0.01)

pytestmark = pytest.mark.usefixtures("short_backoff")

Sent = tuple[IndexJob | RunJob, tuple[int, ...]]


class Queue:
    """Records what is published, unless it is set to fail."""

    def __init__(self, refusing: bool = False) -> None:
        self.sent: list[Sent] = []
        self.refusing = refusing

    async def publish(self, job: IndexJob, units: Sequence[UnitKey]) -> None:
        self._take((job, tuple(unit.source_id for unit in units)))

    async def publish_run(self, job: RunJob, run_id: int) -> None:
        self._take((job, (run_id,)))

    def _take(self, message: Sent) -> None:
        if self.refusing:
            raise PublishError("Down")
        self.sent.append(message)

    async def close(self) -> None:
        return None


# Checked by mypy: the double keeps to the protocol.
_: type[Publisher] = Queue


async def request(sessions: SessionFactory, kind: IndexRunKind) -> int:
    async with sessions.begin() as session:
        return (await IndexRunService(session, lambda: NOW).request(kind)).id


async def add(sessions: SessionFactory, ids: Sequence[int]) -> None:
    async with sessions.begin() as session:
        await OutboxRepository(session).add(IndexJob.UPDATED, conversation_units(ids))


async def test_runs_are_sent_again_until_somebody_claims_them(sessions: SessionFactory, run_relay: Any) -> None:
    reconcile, rebuild = await request(sessions, IndexRunKind.RECONCILE), await request(sessions, IndexRunKind.REBUILD)
    await add(sessions, [5])
    queue, clock = Queue(), Clock(NOW)

    async with run_relay(Relay(sessions, queue, OFTEN, clock)):
        await eventually(lambda: len(queue.sent) == 3)
        clock.now += timedelta(seconds=RUN_RESEND)
        await eventually(lambda: len(queue.sent) == 5)

    runs: list[Sent] = [(RunJob.RECONCILE, (reconcile,)), (RunJob.REBUILD, (rebuild,))]
    assert queue.sent == [*runs, (IndexJob.UPDATED, (5,)), *runs]


async def test_a_run_that_could_not_be_sent_is_sent_when_the_queue_is_back(
    sessions: SessionFactory, run_relay: Any
) -> None:
    run_id = await request(sessions, IndexRunKind.RECONCILE)
    await add(sessions, [5])
    queue = Queue(refusing=True)

    with capture_logs() as logs:
        async with run_relay(Relay(sessions, queue, OFTEN, lambda: NOW)):
            await eventually(lambda: len(logs) >= 2)
            queue.refusing = False
            await eventually(lambda: len(queue.sent) == 2)

    assert queue.sent == [(RunJob.RECONCILE, (run_id,)), (IndexJob.UPDATED, (5,))]


async def test_a_job_of_another_release_is_logged_once_and_blocks_nothing(
    sessions: SessionFactory, run_relay: Any
) -> None:
    foreign = {**conversation_unit(1)._asdict(), "job": "JobOfALaterRelease", "created_at": NOW}
    async with sessions.begin() as session:
        await session.execute(insert(OutboxRow), [foreign, foreign])
    queue = Queue()

    async def is_delivered() -> bool:
        async with sessions() as session:
            return await OutboxRepository(session).depth() == 2

    with capture_logs() as logs:
        async with run_relay(Relay(sessions, queue, OFTEN)):
            await until_logged(logs, OUTBOX_UNKNOWN_JOB)
            for key in (1, 2):
                await add(sessions, [key])
                await eventually(is_delivered)

    assert [key for _, ids in queue.sent for key in ids] == [1, 2]
    assert [line["job"] for line in logs if line["event"] == OUTBOX_UNKNOWN_JOB] == ["JobOfALaterRelease"]
