"""Claims on outbox rows: who gets which, for how long, and in which order."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from conversations_api.database import SessionFactory
from conversations_api.models import OutboxRow
from conversations_api.outbox.repository import OUTBOX_WRITTEN, OutboxRepository
from mh_common.jobs import IndexJob
from mh_common.units import conversation_unit, conversation_units
from sqlalchemy import insert, text

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = 15.0
EXPIRED = NOW + timedelta(seconds=LEASE)

# SQLite has one writer at a time, and counts no statements.
mysql_only = pytest.mark.parametrize(
    "migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True, scope="session"
)


async def add(sessions: SessionFactory, *jobs: tuple[IndexJob, Sequence[int]]) -> None:
    async with sessions.begin() as session:
        for job, ids in jobs:
            await OutboxRepository(session).add(job, conversation_units(ids))


async def claim(sessions: SessionFactory, owner: str, now: datetime = NOW, limit: int = 100) -> dict[int, int]:
    """Return the conversation of each claimed row, by the row's id."""
    async with sessions.begin() as session:
        rows = await OutboxRepository(session).claim(owner, now, LEASE, limit)
    return {row.id: row.unit.source_id for row in rows}


async def depth(sessions: SessionFactory) -> int:
    async with sessions() as session:
        return await OutboxRepository(session).depth()


async def test_rows_are_claimed_oldest_first_and_by_one_owner_only(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [5, 3, 9]), (IndexJob.UPDATED, [7]))

    async with sessions.begin() as session:
        rows = await OutboxRepository(session).claim("a", NOW, LEASE, limit=3)

    assert [(row.unit.source_id, row.job) for row in rows] == [(key, IndexJob.CREATED) for key in (5, 3, 9)]
    assert list((await claim(sessions, "b")).values()) == [7]
    assert await claim(sessions, "c") == {}


async def test_a_row_exists_only_once_its_change_is_committed(sessions: SessionFactory) -> None:
    async with sessions() as session:
        await OutboxRepository(session).add(IndexJob.CREATED, conversation_units([1]))
        assert session.info[OUTBOX_WRITTEN]
        await session.rollback()

    assert await depth(sessions) == 0


async def test_a_session_without_jobs_wakes_nobody(sessions: SessionFactory) -> None:
    async with sessions.begin() as session:
        await OutboxRepository(session).add(IndexJob.DELETED, conversation_units([]))

    assert OUTBOX_WRITTEN not in session.info
    assert await depth(sessions) == 0


async def test_an_expired_claim_passes_to_another_owner(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [1]))
    first = await claim(sessions, "a")
    assert await claim(sessions, "b", EXPIRED - timedelta(microseconds=1)) == {}

    assert await claim(sessions, "b", EXPIRED) == first
    async with sessions.begin() as session:
        # The first owner comes back to life: the row is no longer its own.
        await OutboxRepository(session).delete(list(first), "a")
        await OutboxRepository(session).release(list(first), "a")
    assert await depth(sessions) == 1
    assert await claim(sessions, "c", EXPIRED) == {}


async def test_a_released_row_can_be_claimed_at_once_and_a_deleted_one_is_gone(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [1, 2]))
    one, two = await claim(sessions, "a")

    async with sessions.begin() as session:
        await OutboxRepository(session).delete([one], "a")
        await OutboxRepository(session).release([two], "a")

    assert await claim(sessions, "b") == {two: 2}
    assert await depth(sessions) == 1


async def test_a_later_job_waits_for_the_earlier_one_of_its_conversation(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [1]))
    earlier = await claim(sessions, "a")
    await add(sessions, (IndexJob.UPDATED, [1, 2]))

    assert list((await claim(sessions, "b")).values()) == [2], "conversation 1 is with a"
    async with sessions.begin() as session:
        await OutboxRepository(session).delete(list(earlier), "a")

    assert list((await claim(sessions, "b")).values()) == [1]


async def test_a_later_job_goes_with_the_earlier_one_when_the_claim_expired(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [1]))
    await claim(sessions, "a")
    await add(sessions, (IndexJob.UPDATED, [1]))

    assert list((await claim(sessions, "b", EXPIRED)).values()) == [1, 1]


async def test_jobs_of_another_release_are_left_alone_and_block_nothing(sessions: SessionFactory) -> None:
    async with sessions.begin() as session:
        foreign = [
            {**conversation_unit(key)._asdict(), "job": "JobOfALaterRelease", "created_at": NOW} for key in (1, 2, 3)
        ]
        await session.execute(insert(OutboxRow), foreign)
    await add(sessions, (IndexJob.UPDATED, [1, 2]))

    assert list((await claim(sessions, "a", limit=2)).values()) == [1, 2]
    async with sessions() as session:
        assert await OutboxRepository(session).unknown_jobs() == ["JobOfALaterRelease"]
    assert await depth(sessions) == 5


async def test_waiting_rows_do_not_use_up_the_limit(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [1, 2, 3]))
    await claim(sessions, "a")
    await add(sessions, (IndexJob.UPDATED, [1, 2, 3, 4]))

    assert list((await claim(sessions, "b", limit=1)).values()) == [4]


@mysql_only
async def test_two_claims_at_the_same_moment_keep_the_order(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [1]), (IndexJob.UPDATED, [1, 2]))

    async with sessions() as session_a, sessions() as session_b:
        ours = await OutboxRepository(session_a).claim("a", NOW, LEASE, limit=1)
        # The first claim is not committed: its row is locked, and still looks free to whoever may read it.
        async with asyncio.timeout(9):
            theirs = await OutboxRepository(session_b).claim("b", NOW, LEASE, limit=100)
        await session_a.commit()
        await session_b.commit()

    assert [(row.unit.source_id, row.job) for row in ours] == [(1, IndexJob.CREATED)]
    assert [(row.unit.source_id, row.job) for row in theirs] == [(2, IndexJob.UPDATED)]


@mysql_only
async def test_claims_and_writers_do_not_wait_for_each_other(sessions: SessionFactory) -> None:
    await add(sessions, (IndexJob.CREATED, [1]))

    async with sessions() as writer, sessions() as relay, asyncio.timeout(9):
        await OutboxRepository(writer).add(IndexJob.CREATED, conversation_units([2]))
        claimed = await OutboxRepository(relay).claim("a", NOW, LEASE, limit=100)
        await OutboxRepository(writer).add(IndexJob.CREATED, conversation_units([3]))
        await relay.commit()
        await writer.commit()

    assert [row.unit.source_id for row in claimed] == [1]
    assert list((await claim(sessions, "b")).values()) == [2, 3]


@mysql_only
async def test_a_bulk_import_writes_its_jobs_in_one_statement(sessions: SessionFactory) -> None:
    count = text("SHOW SESSION STATUS LIKE 'Com_insert'")

    async with sessions.begin() as session:
        before = (await session.execute(count)).one()[1]
        await OutboxRepository(session).add(IndexJob.CREATED, conversation_units(range(1, 1001)))
        after = (await session.execute(count)).one()[1]

    assert int(after) - int(before) == 1
    assert await depth(sessions) == 1000


async def test_depth_and_age_of_the_outbox(sessions: SessionFactory) -> None:
    async with sessions() as session:
        assert await OutboxRepository(session).oldest() is None
    before = datetime.now(UTC)
    await add(sessions, (IndexJob.CREATED, [1]))
    between = datetime.now(UTC)
    await add(sessions, (IndexJob.CREATED, [2]))

    async with sessions() as session:
        outbox = OutboxRepository(session)
        assert await outbox.depth() == 2
        oldest = await outbox.oldest()
    assert oldest is not None
    assert before <= oldest <= between
