"""Baselines for the conversations API: the same statements in minimal FastAPI handlers.

`create_app` shows the limit of the machine with FastAPI: raw aiomysql, one row in, one row out, no validation beyond
the path, no request ids, metrics, entity tags or problem documents. `create_sync_app` is a typical first version: `def`
handlers on synchronous SQLAlchemy with PyMySQL, in FastAPI's thread pool. Both write what the platform writes:
conversation, its earlier version, index state and outbox row, in one transaction.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Final

import aiomysql
from fastapi import FastAPI, Request
from mh_common.text import content_hash
from pydantic import BaseModel
from sqlalchemy import create_engine, make_url, text

COLUMNS: Final = (
    "c.id, c.version, c.created_at, c.updated_at, c.question, c.answer, c.question_sentiment, c.answer_sentiment, "
    "s.status AS index_status, c.source_url, c.source_date, c.category, c.author, c.import_tag, s.risk_level, "
    "s.unsafe_advice, c.origin, c.review_state, c.created_by, c.updated_by, c.reviewed_by, c.reviewed_at"
)
SELECT: Final = (
    f"SELECT {COLUMNS} FROM mental_health_conversations c JOIN index_states s ON s.kind = 'conversation' "  # noqa: S608 - constants
    "AND s.source_id = c.id AND s.ordinal = 0 "
)
GET: Final = SELECT + "WHERE c.id = %(id)s"
LIST: Final = SELECT + "ORDER BY c.id LIMIT %(limit)s"
LOCK: Final = GET + " FOR UPDATE"
INSERT: Final = (
    "INSERT INTO mental_health_conversations (question, answer, question_sentiment, answer_sentiment, version, "
    "created_at, updated_at, source_url, source_date, category, author, origin, content_hash) VALUES (%(question)s, "
    "%(answer)s, %(question_sentiment)s, %(answer_sentiment)s, 1, %(now)s, %(now)s, %(source_url)s, %(source_date)s, "
    "%(category)s, %(author)s, 'api', UNHEX(%(content_hash)s))"
)
INSERT_STATE: Final = (
    "INSERT INTO index_states (kind, source_id, ordinal, status, attempts, queued_at) "
    "VALUES ('conversation', %(id)s, 0, 'pending', 0, %(now)s)"
)
INSERT_OUTBOX: Final = (
    "INSERT INTO index_outbox (kind, source_id, ordinal, job, created_at) "
    "VALUES ('conversation', %(id)s, 0, %(job)s, %(now)s)"
)
CONTENT: Final = "question, answer, question_sentiment, answer_sentiment, source_url, source_date, category, author"
KEEP: Final = (
    f"INSERT INTO conversation_versions (conversation_id, version, changed_at, changed_by, {CONTENT}) "  # noqa: S608 - constants
    f"SELECT id, version, updated_at, updated_by, {CONTENT} FROM mental_health_conversations WHERE id = %(id)s"
)
UPDATE: Final = (
    "UPDATE mental_health_conversations SET question_sentiment = %(sentiment)s, version = version + 1, "
    "updated_at = %(now)s WHERE id = %(id)s"
)
UPDATE_STATE: Final = (
    "UPDATE index_states SET status = 'pending', attempts = 0, reason = NULL, queued_at = %(now)s, risk_level = NULL, "
    "unsafe_advice = NULL, screened_by = NULL WHERE kind = 'conversation' AND source_id = %(id)s AND ordinal = 0"
)
JOBS: Final = ("CreatedMentalHealthConversationJob", "UpdatedMentalHealthConversationJob")

_NAMED: Final = (GET, LIST, LOCK, INSERT, INSERT_STATE, INSERT_OUTBOX, KEEP, UPDATE, UPDATE_STATE)
_BOUND: Final = {statement: text(statement.replace("%(", ":").replace(")s", "")) for statement in _NAMED}
"""The statements with SQLAlchemy's parameter syntax."""


class Body(BaseModel):
    """The body of a POST."""

    question: str
    answer: str
    question_sentiment: str
    answer_sentiment: str
    source_url: str | None = None
    source_date: date | None = None
    category: str | None = None
    author: str | None = None

    def stored(self) -> dict[str, Any]:
        """Return the columns that the body determines; the hash in hexadecimal, as aiomysql writes no bytes."""
        return {**self.model_dump(), "content_hash": content_hash(self.question, self.answer).hex()}


class Change(BaseModel):
    """The body of a PATCH."""

    question_sentiment: str


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def create_app() -> FastAPI:
    """Return the application on a pool of raw aiomysql connections."""
    url = make_url(os.environ["DATABASE_URL"])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        address = {"host": url.host, "port": url.port, "user": url.username, "db": url.database, "charset": "utf8mb4"}
        async with (
            aiomysql.create_pool(**address, minsize=16, maxsize=16, autocommit=True) as reads,
            aiomysql.create_pool(**address, minsize=16, maxsize=16) as writes,
        ):
            app.state.reads, app.state.writes = reads, writes
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/{conversation_id}")
    async def get(request: Request, conversation_id: int) -> dict[str, Any]:
        """Return one conversation."""
        async with request.app.state.reads.acquire() as connection, connection.cursor(aiomysql.DictCursor) as cursor:
            await cursor.execute(GET, {"id": conversation_id})
            row: dict[str, Any] = await cursor.fetchone()
            return row

    @app.get("/")
    async def list_(request: Request, limit: int) -> list[dict[str, Any]]:
        """Return the first conversations."""
        async with request.app.state.reads.acquire() as connection, connection.cursor(aiomysql.DictCursor) as cursor:
            await cursor.execute(LIST, {"limit": limit})
            rows: list[dict[str, Any]] = await cursor.fetchall()
            return rows

    @app.post("/", status_code=201)
    async def add(request: Request, body: Body) -> dict[str, Any]:
        """Add a conversation."""
        now = _now()
        async with request.app.state.writes.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(INSERT, {**body.stored(), "now": now})
            parameters = {"id": cursor.lastrowid, "job": JOBS[0], "now": now}
            await cursor.execute(INSERT_STATE, parameters)
            await cursor.execute(INSERT_OUTBOX, parameters)
            await connection.commit()
        return {**body.model_dump(), "id": parameters["id"], "version": 1, "created_at": now, "updated_at": now}

    @app.patch("/{conversation_id}")
    async def change(request: Request, conversation_id: int, body: Change) -> dict[str, Any]:
        """Change a conversation."""
        parameters = {"id": conversation_id, "job": JOBS[1], "now": _now(), "sentiment": body.question_sentiment}
        async with (
            request.app.state.writes.acquire() as connection,
            connection.cursor(aiomysql.DictCursor) as cursor,
        ):
            await cursor.execute(LOCK, parameters)
            row: dict[str, Any] = await cursor.fetchone()
            for statement in (KEEP, UPDATE, UPDATE_STATE, INSERT_OUTBOX):
                await cursor.execute(statement, parameters)
            await connection.commit()
        return {**row, "version": row["version"] + 1, "question_sentiment": body.question_sentiment}

    return app


def create_sync_app() -> FastAPI:
    """Return the application on synchronous SQLAlchemy with PyMySQL."""
    engine = create_engine(make_url(os.environ["DATABASE_URL"]).set(drivername="mysql+pymysql"), pool_size=16)
    app = FastAPI()

    @app.get("/{conversation_id}")
    def get(conversation_id: int) -> dict[str, Any]:
        """Return one conversation."""
        with engine.connect() as connection:
            return dict(connection.execute(_BOUND[GET], {"id": conversation_id}).mappings().one())

    @app.get("/")
    def list_(limit: int) -> list[dict[str, Any]]:
        """Return the first conversations."""
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(_BOUND[LIST], {"limit": limit}).mappings()]

    @app.post("/", status_code=201)
    def add(body: Body) -> dict[str, Any]:
        """Add a conversation."""
        now = _now()
        with engine.begin() as connection:
            inserted = connection.execute(_BOUND[INSERT], {**body.stored(), "now": now})
            parameters = {"id": inserted.lastrowid, "job": JOBS[0], "now": now}
            connection.execute(_BOUND[INSERT_STATE], parameters)
            connection.execute(_BOUND[INSERT_OUTBOX], parameters)
        return {**body.model_dump(), "id": parameters["id"], "version": 1, "created_at": now, "updated_at": now}

    @app.patch("/{conversation_id}")
    def change(conversation_id: int, body: Change) -> dict[str, Any]:
        """Change a conversation."""
        parameters = {"id": conversation_id, "job": JOBS[1], "now": _now(), "sentiment": body.question_sentiment}
        with engine.begin() as connection:
            row = dict(connection.execute(_BOUND[LOCK], parameters).mappings().one())
            for statement in (KEEP, UPDATE, UPDATE_STATE, INSERT_OUTBOX):
                connection.execute(_BOUND[statement], parameters)
        return {**row, "version": row["version"] + 1, "question_sentiment": body.question_sentiment}

    return app
