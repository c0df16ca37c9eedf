"""The yardstick for `GET /{id}`: the same query in a FastAPI handler with nothing around it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomysql
from fastapi import FastAPI
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

QUERY = (
    "SELECT c.id, c.version, c.created_at, c.updated_at, c.question, c.answer, c.question_sentiment, "
    "c.answer_sentiment, s.status FROM mental_health_conversations c "
    "JOIN index_states s ON s.conversation_id = c.id WHERE c.id = {}"
)


def create_app() -> FastAPI:
    """Return an application with one route and a pool of raw aiomysql connections."""
    url = make_url(os.environ["DATABASE_URL"])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with aiomysql.create_pool(
            host=url.host, port=url.port, user=url.username, db=url.database, charset="utf8mb4", autocommit=True
        ) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/{conversation_id}")
    async def get(conversation_id: int) -> dict[str, Any]:
        """Return one conversation."""
        async with app.state.pool.acquire() as connection, connection.cursor(aiomysql.DictCursor) as cursor:
            await cursor.execute(QUERY.format("%s"), (conversation_id,))
            row: dict[str, Any] = await cursor.fetchone()
            return row

    return app


def create_sqlalchemy_app() -> FastAPI:
    """Return the same on a SQLAlchemy engine, set up as its manual has it."""
    engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=16)
    query = text(QUERY.format(":id"))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/{conversation_id}")
    async def get(conversation_id: int) -> dict[str, Any]:
        """Return one conversation."""
        async with engine.connect() as connection:
            return dict((await connection.execute(query, {"id": conversation_id})).mappings().one())

    return app
