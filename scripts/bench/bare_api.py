"""The yardstick for `GET /{id}`: the same query in a FastAPI handler with nothing around it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomysql
from fastapi import FastAPI
from sqlalchemy import make_url

QUERY = (
    "SELECT c.id, c.version, c.created_at, c.updated_at, c.question, c.answer, c.question_sentiment, "
    "c.answer_sentiment, s.status FROM mental_health_conversations c "
    "JOIN index_states s ON s.conversation_id = c.id WHERE c.id = %s"
)


def create_app() -> FastAPI:
    """Return an application with one route and a connection pool."""
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
            await cursor.execute(QUERY, (conversation_id,))
            row: dict[str, Any] = await cursor.fetchone()
            return row

    return app
