"""Index states, and how the worker's reports change them."""

from asyncio import TaskGroup
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conversations_api.conversations.index_service import ConversationIndexService
from conversations_api.database import SessionFactory, make_engine, make_session_factory
from conversations_api.main import UNIT_SOURCES
from conversations_api.models import Base, ConversationRow
from conversations_api.settings import DatabaseSettings
from conversations_api.units.repository import IndexStateRepository
from conversations_api.units.service import IndexStateService
from hypothesis import given, settings
from hypothesis import strategies as st
from mh_common.errors import NotFoundError
from mh_common.models import IndexOutcome, IndexReport, IndexState, IndexStatus, Sentiment
from mh_common.units import CONVERSATION, conversation_unit, conversation_units
from sqlalchemy import Engine, delete, event, insert, select, update

QUEUED = datetime(2026, 3, 1, 12, tzinfo=UTC)
REPORTED = QUEUED + timedelta(seconds=2)


async def add(sessions: SessionFactory, ids: Sequence[int], at: datetime = QUEUED) -> None:
    fixed = {
        "question": "q",
        "answer": "a",
        "question_sentiment": Sentiment.NEUTRAL,
        "answer_sentiment": Sentiment.NEUTRAL,
    }
    async with sessions.begin() as session:
        rows = [{"id": key, "version": 1, "created_at": at, "updated_at": at, **fixed} for key in ids]
        await session.execute(insert(ConversationRow), rows)
        await IndexStateRepository(session).queue_new(conversation_units(ids), at)


async def change(sessions: SessionFactory, ids: Sequence[int], at: datetime = QUEUED) -> None:
    async with sessions.begin() as session:
        row = ConversationRow
        await session.execute(update(row).where(row.id.in_(ids)).values(version=row.version + 1, updated_at=at))
        await IndexStateRepository(session).queue_changed(conversation_units(ids), at)


async def remove(sessions: SessionFactory, key: int) -> None:
    async with sessions.begin() as session:
        await session.execute(delete(ConversationRow).where(ConversationRow.id == key))


async def report(sessions: SessionFactory, *outcomes: IndexOutcome, at: datetime = REPORTED) -> list[int | None]:
    """Report and return the current versions."""
    async with sessions.begin() as session:
        answer = await IndexStateService(session, UNIT_SOURCES, lambda: at).report(IndexReport(outcomes=list(outcomes)))
    assert [one.key for one in answer.versions] == [one.key for one in outcomes]
    return [one.version for one in answer.versions]


async def get(sessions: SessionFactory, key: int, at: datetime = REPORTED) -> IndexState:
    async with sessions() as session:
        return await ConversationIndexService(session, UNIT_SOURCES, lambda: at).get(key)


def indexed(key: int, version: int = 1) -> IndexOutcome:
    return IndexOutcome(**conversation_unit(key)._asdict(), version=version, status=IndexStatus.INDEXED)


def failed(key: int, version: int = 1, reason: str = "The embedder refused the text.") -> IndexOutcome:
    return IndexOutcome(**conversation_unit(key)._asdict(), version=version, status=IndexStatus.FAILED, reason=reason)


async def test_a_new_conversation_is_pending_and_its_lag_grows(sessions: SessionFactory) -> None:
    await add(sessions, [1])

    assert await get(sessions, 1, QUEUED + timedelta(seconds=90)) == IndexState(
        conversation_id=1,
        status=IndexStatus.PENDING,
        version=1,
        indexed_version=None,
        reason=None,
        attempts=0,
        queued_at=QUEUED,
        indexed_at=None,
        lag_seconds=90,
    )


async def test_a_report_of_the_current_version_ends_the_pending_state(sessions: SessionFactory) -> None:
    await add(sessions, [1])

    assert await report(sessions, indexed(1)) == [1]

    state = await get(sessions, 1, QUEUED + timedelta(days=1))
    assert (state.status, state.indexed_version, state.attempts) == (IndexStatus.INDEXED, 1, 1)
    assert (state.indexed_at, state.lag_seconds) == (REPORTED, 2)


async def test_a_failure_keeps_its_reason_until_a_retry_succeeds(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    await report(sessions, failed(1, reason="The embedder refused the text."))
    first = await get(sessions, 1, QUEUED + timedelta(seconds=30))
    await report(sessions, failed(1, reason="Wrong dimension."))
    second = await get(sessions, 1)
    await report(sessions, indexed(1))
    third = await get(sessions, 1)

    assert (first.status, first.reason, first.attempts) == (IndexStatus.FAILED, "The embedder refused the text.", 1)
    assert first.lag_seconds == 30, "search still does not find it"
    assert (second.status, second.reason, second.attempts) == (IndexStatus.FAILED, "Wrong dimension.", 2)
    assert (third.status, third.reason, third.attempts) == (IndexStatus.INDEXED, None, 3)


async def test_a_change_makes_it_pending_again_and_keeps_the_indexed_version(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    await report(sessions, failed(1), indexed(1))
    later = QUEUED + timedelta(hours=1)
    await change(sessions, [1], later)

    state = await get(sessions, 1, later + timedelta(seconds=5))

    assert (state.status, state.version, state.indexed_version) == (IndexStatus.PENDING, 2, 1)
    assert (state.attempts, state.reason, state.indexed_at) == (0, None, REPORTED)
    assert (state.queued_at, state.lag_seconds) == (later, 5)


async def test_an_older_version_is_recorded_but_the_current_one_stays_pending(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    await change(sessions, [1])

    assert await report(sessions, indexed(1, version=1)) == [2]

    state = await get(sessions, 1)
    assert (state.status, state.indexed_version, state.attempts) == (IndexStatus.PENDING, 1, 0)


async def test_late_reports_undo_nothing(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    await change(sessions, [1])
    await report(sessions, indexed(1, version=2))
    before = await get(sessions, 1)

    much_later = REPORTED + timedelta(hours=1)
    assert await report(sessions, indexed(1, version=1), at=much_later) == [2]
    assert await report(sessions, failed(1, version=1), at=much_later) == [2]
    assert await get(sessions, 1) == before


async def test_a_version_that_never_existed_changes_nothing(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    before = await get(sessions, 1)

    assert await report(sessions, indexed(1, version=7), failed(1, version=8)) == [1, 1]
    assert await get(sessions, 1) == before


async def test_a_job_that_ran_twice_only_counts_as_another_attempt(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    await report(sessions, indexed(1))
    once = await get(sessions, 1)

    await report(sessions, indexed(1), at=REPORTED + timedelta(hours=1))
    await report(sessions, failed(1), at=REPORTED + timedelta(hours=2))

    assert await get(sessions, 1) == once.model_copy(update={"attempts": 3})


async def test_indexing_again_on_demand_counts_from_its_own_queueing(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    await report(sessions, indexed(1))
    later = QUEUED + timedelta(hours=1)
    async with sessions.begin() as session:
        await IndexStateRepository(session).queue_again(conversation_units([1]), later)
    await report(sessions, indexed(1), at=later + timedelta(seconds=3))

    state = await get(sessions, 1)
    assert (state.status, state.indexed_version, state.lag_seconds) == (IndexStatus.INDEXED, 1, 3)


async def test_lag_is_never_negative(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    before = QUEUED - timedelta(seconds=1)

    assert (await get(sessions, 1, before)).lag_seconds == 0
    await report(sessions, indexed(1), at=before)
    assert (await get(sessions, 1)).lag_seconds == 0


async def test_a_deleted_conversation_is_answered_with_null(sessions: SessionFactory) -> None:
    await add(sessions, [1, 2])
    await remove(sessions, 1)

    assert await report(sessions, indexed(1), failed(99), indexed(2)) == [None, None, 1]
    with pytest.raises(NotFoundError):
        await get(sessions, 1)


async def test_the_last_of_several_outcomes_counts(sessions: SessionFactory) -> None:
    await add(sessions, [1, 2])

    assert await report(sessions, failed(1), failed(2), indexed(1)) == [1, 1, 1]

    assert ((await get(sessions, 1)).status, (await get(sessions, 1)).attempts) == (IndexStatus.INDEXED, 1)
    assert (await get(sessions, 2)).status is IndexStatus.FAILED


async def test_reports_leave_the_conversation_itself_alone(sessions: SessionFactory) -> None:
    await add(sessions, [1])
    await report(sessions, failed(1))
    await report(sessions, indexed(1))

    async with sessions() as session:
        row = (await session.scalars(select(ConversationRow).where(ConversationRow.id == 1))).one()
    assert (row.updated_at, row.version) == (QUEUED, 1)


async def test_the_usual_report_takes_as_many_statements_for_1000_rows_as_for_one(sessions: SessionFactory) -> None:
    await add(sessions, range(1, 1001))
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    counts = []
    for keys in ([1], range(2, 1001)):
        statements.clear()
        await report(sessions, *(indexed(key) for key in keys))
        counts.append(len(statements))
    event.remove(Engine, "before_cursor_execute", note)

    assert counts[0] == counts[1]
    assert (await get(sessions, 1000)).status is IndexStatus.INDEXED


async def test_conversations_are_counted_by_status(sessions: SessionFactory) -> None:
    await add(sessions, [1, 2, 3])
    await report(sessions, indexed(1), indexed(2))

    async with sessions() as session:
        assert await IndexStateRepository(session).statuses(CONVERSATION) == {
            IndexStatus.PENDING: 1,
            IndexStatus.INDEXED: 2,
            IndexStatus.FAILED: 0,
        }


async def test_a_report_and_a_change_at_once_never_leave_a_changed_row_as_indexed(sessions: SessionFactory) -> None:
    keys = range(1, 9)
    await add(sessions, keys)

    async with TaskGroup() as group:
        for key in keys:
            group.create_task(change(sessions, [key]))
            group.create_task(report(sessions, *(indexed(one) for one in keys)))

    for key in keys:
        state = await get(sessions, key)
        assert (state.version, state.status) == (2, IndexStatus.PENDING)


@asynccontextmanager
async def one_conversation(version: int) -> AsyncIterator[SessionFactory]:
    with TemporaryDirectory() as folder:
        engine = make_engine(DatabaseSettings(url=f"sqlite+aiosqlite:///{Path(folder) / 'test.db'}"))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        sessions = make_session_factory(engine)
        await add(sessions, [1])
        for _ in range(version - 1):
            await change(sessions, [1])
        yield sessions
        await engine.dispose()


OUTCOMES = st.builds(
    lambda version, success: indexed(1, version) if success else failed(1, version), st.integers(1, 4), st.booleans()
)


@given(st.integers(1, 3), st.lists(OUTCOMES, max_size=8))
@settings(deadline=None, max_examples=40)
async def test_whatever_the_order_of_reports_the_state_is_what_they_say_together(
    present: int, outcomes: list[IndexOutcome]
) -> None:
    async with one_conversation(present) as sessions:
        for outcome in outcomes:
            assert await report(sessions, outcome) == [present]
        state = await get(sessions, 1)

    written = [one.version for one in outcomes if one.status is IndexStatus.INDEXED and one.version <= present]
    tried = [one for one in outcomes if one.version == present]
    assert state.indexed_version == max(written, default=None)
    assert state.attempts == len(tried)
    expected = IndexStatus.PENDING
    if tried:
        expected = IndexStatus.INDEXED if present in written else IndexStatus.FAILED
    assert state.status is expected
