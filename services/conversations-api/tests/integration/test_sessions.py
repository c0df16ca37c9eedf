"""Sessions: a rejected, lost or cancelled request leaves nothing behind for the next one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest
from conversations_api.database import SessionFactory, make_engine, make_read_engine, make_session_factory
from conversations_api.database_errors import database_errors
from conversations_api.models import ConversationRow, IdempotencyKeyRow
from conversations_api.settings import DatabaseSettings
from mh_common.errors import UnavailableError
from mh_devtools.testing.fixtures import RunQuery
from mh_devtools.testing.waiting import eventually
from sqlalchemy import Executable, Integer, Table, bindparam, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

PATH = "/api/v1/conversations"
NEW = {"question": "a", "answer": "b", "question_sentiment": "neutral", "answer_sentiment": "neutral"}
ON_MYSQL = pytest.mark.parametrize("migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True)
TABLE = cast(Table, IdempotencyKeyRow.__table__)
KEYS = insert(TABLE)
ONE = select(bindparam("one", type_=Integer).label("one"))


async def rows(session: AsyncSession, statement: Executable, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in (await session.execute(statement, parameters)).mappings()]


@pytest.fixture
async def engine(database: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection."""
    engine = make_read_engine(database.model_copy(update={"pool_size": 1, "max_overflow": 0}))
    yield engine
    await engine.dispose()


@ON_MYSQL
async def test_a_locked_row_is_a_temporary_error(
    engine: AsyncEngine, client: httpx.AsyncClient, sessions: SessionFactory
) -> None:
    key = (await client.post(PATH, json=NEW)).json()["id"]
    locking = select(ConversationRow.id).where(ConversationRow.id == bindparam("id")).with_for_update(nowait=True)
    async with sessions.begin() as session:
        await session.execute(text("UPDATE mental_health_conversations SET version = 7"))
        async with make_session_factory(engine)() as session:
            with pytest.raises(UnavailableError), database_errors():
                await rows(session, locking, {"id": key})
            assert await rows(session, ONE, {"one": 1}) == [{"one": 1}]


@ON_MYSQL
async def test_a_statement_that_the_server_does_not_understand_is_a_bug(engine: AsyncEngine) -> None:
    async with make_session_factory(engine)() as session:
        with pytest.raises(DBAPIError, match="no_such_column"):
            await rows(session, select(text("no_such_column")), {})
        assert await rows(session, ONE, {"one": 1}) == [{"one": 1}]


@ON_MYSQL
async def test_the_result_of_a_cancelled_read_reaches_nobody_else(engine: AsyncEngine, query: RunQuery) -> None:
    async def ask() -> None:
        async with make_session_factory(engine)() as session:
            await rows(session, select(func.sleep(bindparam("seconds", type_=Integer))), {"seconds": 30})

    async def is_asked() -> bool:
        running = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'SELECT sleep(30)%'"
        return bool(await query(running))

    asking = asyncio.create_task(ask())
    await eventually(is_asked)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with make_session_factory(engine)() as session:
        assert await rows(session, ONE, {"one": 1}) == [{"one": 1}]


@pytest.fixture
async def write_engine(database: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    """An engine for transactions with one connection."""
    engine = make_engine(database.model_copy(update={"pool_size": 1, "max_overflow": 0}))
    yield engine
    await engine.dispose()


def key(name: str) -> dict[str, Any]:
    return {"key": name, "request_hash": "x", "created_at": datetime(2026, 1, 1, tzinfo=UTC), "result_ids": "[]"}


@ON_MYSQL
@pytest.mark.parametrize("names", [["a"], ["b", "a"]], ids=["alone", "among others"])
async def test_a_refused_write_says_why_and_leaves_nothing(
    write_engine: AsyncEngine, query: RunQuery, names: list[str]
) -> None:
    async with make_session_factory(write_engine).begin() as session:
        await session.execute(KEYS, [key("a")])
    with pytest.raises(IntegrityError):
        async with make_session_factory(write_engine).begin() as session:
            await session.execute(KEYS, [key(name) for name in names])
    async with make_session_factory(write_engine).begin() as session:
        await session.execute(KEYS, [key("c")])
    assert await query("SELECT `key` FROM idempotency_keys ORDER BY `key`") == [("a",), ("c",)]


@ON_MYSQL
async def test_a_connection_lost_midway_rolls_back_the_transaction(write_engine: AsyncEngine, query: RunQuery) -> None:
    connection = select(func.connection_id().label("own"))
    async with make_session_factory(write_engine)() as session:
        await session.execute(KEYS, [key("a")])
        [row] = await rows(session, connection, {})
        await query(f"KILL {row['own']}")
        with pytest.raises(DBAPIError):
            await session.execute(KEYS, [key("b")])
    async with make_session_factory(write_engine).begin() as session:
        await session.execute(KEYS, [key("c")])
    assert await query("SELECT `key` FROM idempotency_keys") == [("c",)]


@ON_MYSQL
async def test_a_connection_lost_before_a_transaction_is_replaced(write_engine: AsyncEngine, query: RunQuery) -> None:
    connection = select(func.connection_id().label("own"))
    async with make_session_factory(write_engine).begin() as session:
        [row] = await rows(session, connection, {})
    await query(f"KILL {row['own']}")
    async with make_session_factory(write_engine).begin() as session:
        await session.execute(KEYS, [key("a")])
        await session.execute(KEYS, [key("b")])
    assert await query("SELECT `key` FROM idempotency_keys") == [("a",), ("b",)]


@ON_MYSQL
async def test_nothing_is_left_of_a_cancelled_write(write_engine: AsyncEngine, query: RunQuery) -> None:
    slow = update(TABLE).where(func.sleep(bindparam("seconds", type_=Integer)) == 0).values(request_hash="y")

    async def change() -> None:
        async with make_session_factory(write_engine).begin() as session:
            await session.execute(KEYS, [key("b")])
            await session.execute(slow, {"seconds": 30})

    async def is_at_work() -> bool:
        running = (
            "SELECT 1 FROM information_schema.processlist "
            "WHERE db = DATABASE() AND info LIKE 'UPDATE idempotency_keys%sleep(30)%'"
        )
        return bool(await query(running))

    async with make_session_factory(write_engine).begin() as session:
        await session.execute(KEYS, [key("a")])
    changing = asyncio.create_task(change())
    await eventually(is_at_work)
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    async with make_session_factory(write_engine).begin() as session:
        assert await rows(session, ONE, {"one": 1}) == [{"one": 1}]
    assert await query("SELECT `key`, request_hash FROM idempotency_keys") == [("a", "x")]
