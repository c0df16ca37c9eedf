"""Reads that the driver sends itself: their errors are the same as those of any other statement."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from conversations_api.database import Reader, SessionFactory, make_read_engine, transaction
from conversations_api.models import ConversationRow
from conversations_api.settings import DatabaseSettings
from mh_common.errors import UnavailableError
from sqlalchemy import Integer, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

PATH = "/api/v1/conversations"
NEW = {"question": "a", "answer": "b", "question_sentiment": "neutral", "answer_sentiment": "neutral"}
ON_MYSQL = pytest.mark.parametrize("migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True)
ONE = select(bindparam("one", type_=Integer).label("one"))


@pytest.fixture
async def engine(database: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection."""
    engine = make_read_engine(database.model_copy(update={"pool_size": 1, "max_overflow": 0}))
    yield engine
    await engine.dispose()


@ON_MYSQL
async def test_a_locked_row_is_said_to_be_temporary(
    engine: AsyncEngine, client: httpx.AsyncClient, sessions: SessionFactory
) -> None:
    key = (await client.post(PATH, json=NEW)).json()["id"]
    locking = select(ConversationRow.id).where(ConversationRow.id == bindparam("id")).with_for_update(nowait=True)
    async with transaction(sessions) as session:
        await session.execute(text("UPDATE mental_health_conversations SET version = 7"))
        async with Reader(engine) as reader:
            with pytest.raises(UnavailableError):
                await reader.read(locking, {"id": key})
            assert await reader.read(ONE, {"one": 1}) == [{"one": 1}]


@ON_MYSQL
async def test_a_statement_that_the_server_does_not_understand_is_a_bug(engine: AsyncEngine) -> None:
    async with Reader(engine) as reader:
        with pytest.raises(DBAPIError, match="no_such_column"):
            await reader.read(select(text("no_such_column")), {})
        assert await reader.read(ONE, {"one": 1}) == [{"one": 1}]


@ON_MYSQL
async def test_nobody_gets_what_a_cancelled_read_asked_for(engine: AsyncEngine, query: Any, eventually: Any) -> None:
    async def ask() -> None:
        async with Reader(engine) as reader:
            await reader.read(select(func.sleep(bindparam("seconds", type_=Integer))), {"seconds": 30})

    async def is_asked() -> bool:
        running = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT sleep(30)%'"
        return bool(await query(running))

    asking = asyncio.create_task(ask())
    await eventually(is_asked)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with Reader(engine) as reader:
        assert await reader.read(ONE, {"one": 1}) == [{"one": 1}]
