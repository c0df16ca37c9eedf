"""The shipped application and its databases: every test runs on MariaDB (or MySQL) and on SQLite, on empty tables."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, cast

import httpx
import pymysql
import pytest
from alembic import command
from alembic.config import Config
from asgi_lifespan import LifespanManager
from conversations_api import main, passwords
from conversations_api.database import SessionFactory, make_engine, make_read_engine, make_session_factory
from conversations_api.main import create_app
from conversations_api.models import Base, OutboxRow
from conversations_api.outbox import relay as relay_module
from conversations_api.outbox.publisher import Publisher
from conversations_api.outbox.relay import Relay
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.settings import DatabaseSettings, Settings
from fastapi import FastAPI
from mh_common.jobs import IndexJob, RunJob
from mh_common.settings import RedisSettings
from mh_common.units import UnitKey, conversation_units
from mh_common.web import health
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.waiting import eventually
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import CursorResult, Engine, create_engine, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

SERVICE = Path(__file__).resolve().parents[2]
EVERY_DATABASE = [pytest.param("mysql", marks=pytest.mark.mysql), "sqlite"]
SERVERS = {"mysql": "mariadb", "mysql9": "mysql9"}
"""Fixture of each server that a test can ask for."""


def _new_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> DatabaseSettings:
    if kind == "sqlite":
        return DatabaseSettings(url=f"sqlite+aiosqlite:///{folder}/test.db", lock_timeout=30)
    server = request.getfixturevalue(SERVERS[kind])
    name = f"test_{uuid.uuid4().hex}"
    with pymysql.connect(host="127.0.0.1", port=server.port, user="root") as connection:
        connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return DatabaseSettings(url=server.url(name))


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords by the same function with a thousandth of the work."""
    monkeypatch.setattr(passwords, "_hasher", _cheap_hasher)


@cache
def _cheap_hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))


@pytest.fixture(scope="session")
def alembic_config() -> Callable[[DatabaseSettings], Config]:
    """Return what Alembic's commands take, pointed at a database."""
    return _alembic_config


def _alembic_config(database: DatabaseSettings) -> Config:
    config = Config(SERVICE / "alembic.ini")
    config.attributes["database"] = database
    return config


@pytest.fixture(params=EVERY_DATABASE)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """Settings of a database without tables."""
    return _new_database(request.param, request, tmp_path)


@pytest.fixture(scope="session")
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], DatabaseSettings]:
    """Return the database of a kind, which the migrations make at its first use.

    Pytest makes a fixture with parameters anew whenever the parameter is another, so twice a test file.
    """

    @cache
    def database_of(kind: str) -> DatabaseSettings:
        settings = _new_database(kind, request, tmp_path_factory.mktemp("database"))
        command.upgrade(_alembic_config(settings), "head")
        return settings

    return database_of


@pytest.fixture(scope="session", params=EVERY_DATABASE)
def migrated_database(request: pytest.FixtureRequest, migrated: Callable[[str], DatabaseSettings]) -> DatabaseSettings:
    """Settings of a database that the migrations made; shared, so use `database`."""
    return migrated(request.param)


@pytest.fixture(scope="session")
def empty_tables(migrated_database: DatabaseSettings) -> Iterator[Callable[[], None]]:
    """Deletes all rows of that database. It keeps its connection, since opening one takes longer than the deletion."""
    driver, options = {
        "mysql": ("mysql+pymysql", {}),
        "sqlite": ("sqlite", {"timeout": migrated_database.lock_timeout}),
    }[migrated_database.address.get_backend_name()]
    address = migrated_database.address.set(drivername=driver)
    engine = create_engine(address, pool_pre_ping=True, connect_args=options)

    def empty() -> None:
        with engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(delete(table))

    yield empty
    engine.dispose()


@pytest.fixture
def database(migrated_database: DatabaseSettings, empty_tables: Callable[[], None]) -> DatabaseSettings:
    """Settings of a database with empty tables."""
    empty_tables()
    return migrated_database


_MakeEngine = Callable[[DatabaseSettings], AsyncEngine]
_unused_engines: defaultdict[tuple[_MakeEngine, DatabaseSettings], list[Engine]] = defaultdict(list)


class _UsedAgain(AsyncEngine):
    """An engine that the next test takes once this one has disposed of it and with it of all its connections.

    It has compiled the statements of an application's startup, which takes longer than to run them.
    """

    __slots__ = ("_unused",)

    def __init__(self, engine: Engine, unused: list[Engine]) -> None:
        super().__init__(engine)
        self._unused = unused

    async def dispose(self, close: bool = True) -> None:
        await super().dispose(close)
        self._unused.append(self.sync_engine)


def _engine_of(make: _MakeEngine, settings: DatabaseSettings) -> AsyncEngine:
    unused = _unused_engines[make, settings]
    return _UsedAgain(unused.pop() if unused else make(settings).sync_engine, unused)


@pytest.fixture(autouse=True)
def engines_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let applications take engines that are not in use before they make any."""
    for make in (make_engine, make_read_engine):
        monkeypatch.setattr(main, make.__name__, partial(_engine_of, make))


@pytest.fixture
async def sessions(database: DatabaseSettings) -> AsyncIterator[SessionFactory]:
    """Factory of sessions on that database."""
    engine = _engine_of(make_engine, database)
    yield make_session_factory(engine)
    await engine.dispose()


@pytest.fixture
def query(sessions: SessionFactory) -> RunQuery:
    """Execute an SQL statement on a connection of its own and return all its rows."""

    async def run(statement: str, **values: object) -> list[tuple[Any, ...]]:
        async with sessions.begin() as session:
            result = cast(CursorResult[Any], await session.execute(text(statement), values))
            return [tuple(row) for row in result] if result.returns_rows else []

    return run


@pytest.fixture
def row_counts(sessions: SessionFactory) -> Callable[[], Awaitable[dict[str, int]]]:
    """Count the rows of each table that has any."""

    async def count() -> dict[str, int]:
        async with sessions.begin() as session:
            counts = {
                name: (await session.execute(select(func.count()).select_from(table))).scalar_one()
                for name, table in Base.metadata.tables.items()
            }
        return {name: count for name, count in counts.items() if count}

    return count


class Outbox:
    """Direct access to the outbox in a database: what a test writes to it and what remains in it."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions

    async def add(self, job: IndexJob, ids: Sequence[int]) -> None:
        async with self._sessions.begin() as session:
            await OutboxRepository(session).add(job, conversation_units(ids))

    async def left(self) -> list[tuple[int, bool]]:
        """Return conversation and whether it is claimed, for each remaining row."""
        rows = select(OutboxRow.source_id, OutboxRow.claimed_by).order_by(OutboxRow.id)
        async with self._sessions() as session:
            return [(row.source_id, row.claimed_by is not None) for row in await session.execute(rows)]

    async def until_left(self, *expected: tuple[int, bool]) -> None:
        """Wait until these are left, as `left` has them."""

        async def is_left() -> bool:
            return await self.left() == list(expected)

        await eventually(is_left)

    async def until_empty(self) -> None:
        await self.until_left()


@pytest.fixture
def outbox_of() -> Callable[[SessionFactory], Outbox]:
    """Return the outbox in a database of the test's own."""
    return Outbox


@pytest.fixture
def outbox(sessions: SessionFactory) -> Outbox:
    """The outbox in `database`."""
    return Outbox(sessions)


class RecordingPublisher:
    """Records what is published. `before` runs before each message and may raise or wait."""

    def __init__(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        self.sent: list[tuple[IndexJob, tuple[int, ...]]] = []
        self.units: list[tuple[UnitKey, ...]] = []
        self.runs: list[tuple[RunJob, int]] = []
        self.attempts = 0
        self._before = before

    async def publish(self, job: IndexJob, units: Sequence[UnitKey]) -> None:
        self.attempts += 1
        if self._before is not None:
            await self._before()
        self.units.append(tuple(units))
        self.sent.append((job, tuple(unit.source_id for unit in units)))

    async def publish_run(self, job: RunJob, run_id: int) -> None:
        self.attempts += 1
        if self._before is not None:
            await self._before()
        self.runs.append((job, run_id))

    async def close(self) -> None:
        return None


# Checked by mypy: the double keeps to the protocol.
_: type[Publisher] = RecordingPublisher


@pytest.fixture
def recording() -> Callable[..., RecordingPublisher]:
    """Return a publisher that records what is published."""
    return RecordingPublisher


class RunningRelay:
    """A running relay, until it is asked to stop."""

    def __init__(self, relay: Relay) -> None:
        self._task = asyncio.create_task(relay.run())
        self._stopping = False

    def stop(self) -> None:
        """Ask the relay to stop; once, as a second cancellation would cut short the good end that the first asked for.

        `Task.cancelling` does not tell whether it was asked: it also counts the end of a wait inside the relay.
        """
        if not self._stopping:
            self._stopping = True
            self._task.cancel()

    async def stopped(self) -> None:
        """Wait until the relay has ended, by being cancelled."""
        async with asyncio.timeout(30):
            await asyncio.wait([self._task])
        assert self._task.cancelled(), "a relay ends by being cancelled only"


@asynccontextmanager
async def _run_relay(relay: Relay) -> AsyncIterator[RunningRelay]:
    running = RunningRelay(relay)
    try:
        yield running
    finally:
        running.stop()
        await running.stopped()


@pytest.fixture
def run_relay() -> Callable[[Relay], AbstractAsyncContextManager[RunningRelay]]:
    """Run a relay during the block, or until the block stops it."""
    return _run_relay


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let relays retry immediately."""
    monkeypatch.setattr(relay_module, "FIRST_BACKOFF", 0.001)


@pytest.fixture(autouse=True)
def patient_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time over a readiness check."""
    monkeypatch.setattr(health, "CHECK_TIMEOUT", 60)


@pytest.fixture
def settings(database: DatabaseSettings, redis_url: str) -> Settings:
    """Settings of the application. Its jobs go to a Redis database that no other test looks at."""
    return Settings(database=database, redis=RedisSettings(url=redis_url.removesuffix("/0") + "/9"))


@lru_cache(maxsize=16)
def _app_of(settings: Settings) -> FastAPI:
    """Return one application for equal settings: building its routes takes longer than most tests.

    All that an application works with is made anew at each startup.
    """
    return create_app(settings)


@asynccontextmanager
async def _run_app(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(_app_of(settings), startup_timeout=60, shutdown_timeout=60) as manager:
        transport = httpx.ASGITransport(manager.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
def run_app() -> RunApp:
    """Start the application with settings of the test's own; gives a client."""
    return _run_app


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Client of the running application."""
    async with _run_app(settings) as client:
        yield client


@pytest.fixture
def purged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application purges when it starts, not some time later."""
    monkeypatch.setattr("conversations_api.purge.FIRST_AFTER", 0.0)
