"""A baseline for the conversations API: handlers like those of FastAPI's own template, on SQLAlchemy's async ORM.

The session is a dependency, rows are ORM objects, and responses are models that FastAPI validates. There is nothing
else: no request ids, metrics, entity tags, idempotency keys or problem documents. A write stores what the platform
stores: conversation, its earlier version, index state and outbox row, in one transaction.
"""

import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Annotated, Final

from conversations_api.column_types import Sha256
from fastapi import Depends, FastAPI, HTTPException
from mh_common.text import content_hash
from mh_common.units import CONVERSATION
from pydantic import ConfigDict
from sqlalchemy import Text, and_, select
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship

from mh_devtools.bench.bare_api import JOBS, Body, Change

MOMENT: Final = mysql.DATETIME(fsp=6)


class Base(DeclarativeBase):
    """Base of the tables."""


class IndexState(Base):
    """The index state of a conversation, which is one unit."""

    __tablename__ = "index_states"

    kind: Mapped[str] = mapped_column(primary_key=True, default=CONVERSATION)
    source_id: Mapped[int] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, default=0)
    status: Mapped[str]
    attempts: Mapped[int]
    reason: Mapped[str | None]
    queued_at: Mapped[datetime] = mapped_column(MOMENT)
    risk_level: Mapped[str | None]
    screened_by: Mapped[str | None]
    unsafe_advice: Mapped[str | None]


class Conversation(Base):
    """A conversation."""

    __tablename__ = "mental_health_conversations"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    updated_at: Mapped[datetime] = mapped_column(MOMENT)
    question: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    question_sentiment: Mapped[str]
    answer_sentiment: Mapped[str]
    version: Mapped[int]
    source_url: Mapped[str | None]
    source_date: Mapped[date | None]
    category: Mapped[str | None]
    author: Mapped[str | None]
    import_tag: Mapped[str | None]
    content_hash: Mapped[bytes] = mapped_column(Sha256)
    created_by: Mapped[int | None]
    updated_by: Mapped[int | None]
    origin: Mapped[str | None]
    review_state: Mapped[str] = mapped_column(default="unreviewed")
    reviewed_by: Mapped[int | None]
    reviewed_at: Mapped[datetime | None] = mapped_column(MOMENT)
    state: Mapped[IndexState] = relationship(
        lazy="joined",
        innerjoin=True,
        uselist=False,
        primaryjoin=lambda: and_(
            IndexState.kind == CONVERSATION, foreign(IndexState.source_id) == Conversation.id, IndexState.ordinal == 0
        ),
    )

    @property
    def index_status(self) -> str:
        """The conversation's index status."""
        return self.state.status

    @property
    def risk_level(self) -> str | None:
        """The conversation's risk level."""
        return self.state.risk_level

    @property
    def unsafe_advice(self) -> str | None:
        """The kind of unsafe advice in its answer."""
        return self.state.unsafe_advice


class Version(Base):
    """An earlier version of a conversation."""

    __tablename__ = "conversation_versions"

    conversation_id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    changed_at: Mapped[datetime] = mapped_column(MOMENT)
    changed_by: Mapped[int | None]
    question: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    question_sentiment: Mapped[str]
    answer_sentiment: Mapped[str]
    source_url: Mapped[str | None]
    source_date: Mapped[date | None]
    category: Mapped[str | None]
    author: Mapped[str | None]


class Outbox(Base):
    """An outbox row."""

    __tablename__ = "index_outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default=CONVERSATION)
    source_id: Mapped[int]
    ordinal: Mapped[int] = mapped_column(default=0)
    job: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(MOMENT)


class Shown(Body):
    """A conversation in a response."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    version: int
    created_at: datetime
    updated_at: datetime
    index_status: str
    import_tag: str | None
    risk_level: str | None
    unsafe_advice: str | None
    origin: str | None
    review_state: str
    created_by: int | None
    updated_by: int | None
    reviewed_by: int | None
    reviewed_at: datetime | None


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def create_app() -> FastAPI:
    """Return the application."""
    engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=16)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    app = FastAPI()

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    session_dependency = Depends(get_session)
    SessionDep = Annotated[AsyncSession, session_dependency]  # noqa: N806 - the template's name

    @app.get("/{conversation_id}", response_model=Shown)
    async def get(session: SessionDep, conversation_id: int) -> Conversation:
        """Return one conversation."""
        row = await session.get(Conversation, conversation_id)
        if row is None:
            raise HTTPException(404)
        return row

    @app.get("/", response_model=list[Shown])
    async def list_(session: SessionDep, limit: int) -> list[Conversation]:
        """Return the first conversations."""
        return list((await session.scalars(select(Conversation).order_by(Conversation.id).limit(limit))).all())

    @app.post("/", status_code=201, response_model=Shown)
    async def add(session: SessionDep, body: Body) -> Conversation:
        """Add a conversation."""
        now = _now()
        same = content_hash(body.question, body.answer)
        row = Conversation(
            **body.model_dump(), content_hash=same, version=1, created_at=now, updated_at=now, origin="api"
        )
        row.state = IndexState(status="pending", attempts=0, queued_at=now)
        session.add(row)
        await session.flush()
        session.add(Outbox(source_id=row.id, job=JOBS[0], created_at=now))
        await session.commit()
        return row

    @app.patch("/{conversation_id}", response_model=Shown)
    async def change(session: SessionDep, conversation_id: int, body: Change) -> Conversation:
        """Change a conversation."""
        now = _now()
        row = await session.get_one(Conversation, conversation_id, with_for_update=True)
        content = {name: getattr(row, name) for name in Body.model_fields}
        session.add(Version(conversation_id=row.id, version=row.version, changed_at=row.updated_at, **content))
        row.question_sentiment, row.version, row.updated_at = body.question_sentiment, row.version + 1, now
        row.state.status, row.state.attempts, row.state.reason, row.state.queued_at = "pending", 0, None, now
        row.state.risk_level = row.state.unsafe_advice = row.state.screened_by = None
        session.add(Outbox(source_id=row.id, job=JOBS[1], created_at=now))
        await session.commit()
        return row

    return app
