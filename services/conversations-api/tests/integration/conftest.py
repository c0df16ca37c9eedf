"""The shipped application and its databases: every test runs on MariaDB (or MySQL) and on SQLite, on empty tables."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pymysql
import pytest
import structlog
from alembic import command
from alembic.config import Config
from asgi_lifespan import LifespanManager
from conversations_api.database import SessionFactory, make_engine, make_session_factory, transaction
from conversations_api.main import create_app
from conversations_api.models import Base
from conversations_api.settings import DatabaseSettings, Settings
from mh_common.settings import RedisSettings
from sqlalchemy import CursorResult, delete, func, select, text

SERVICE = Path(__file__).resolve().parents[2]
EVERY_DATABASE = [pytest.param("mysql", marks=pytest.mark.mysql), "sqlite"]

RunApp = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def _new_database(request: pytest.FixtureRequest, folder: Path) -> DatabaseSettings:
    if request.param == "sqlite":
        return DatabaseSettings(url=f"sqlite+aiosqlite:///{folder}/test.db", lock_timeout=30)
    server = request.getfixturevalue("mariadb")
    name = f"test_{uuid.uuid4().hex}"
    with pymysql.connect(host="127.0.0.1", port=server.port, user="root") as connection:
        connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return DatabaseSettings(url=server.url(name))


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
    return _new_database(request, tmp_path)


@pytest.fixture(scope="session", params=EVERY_DATABASE)
def migrated_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DatabaseSettings:
    """Settings of a database that the migrations made; shared, so use `database`."""
    settings = _new_database(request, tmp_path_factory.mktemp("database"))
    command.upgrade(_alembic_config(settings), "head")
    return settings


@pytest.fixture
async def database(migrated_database: DatabaseSettings) -> DatabaseSettings:
    """Settings of a database with empty tables."""
    engine = make_engine(migrated_database)
    async with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            await connection.execute(delete(table))
    await engine.dispose()
    return migrated_database


@pytest.fixture
async def sessions(database: DatabaseSettings) -> AsyncIterator[SessionFactory]:
    """Factory of sessions on that database."""
    engine = make_engine(database)
    yield make_session_factory(engine)
    await engine.dispose()


@pytest.fixture
def query(sessions: SessionFactory) -> Callable[..., Awaitable[list[tuple[Any, ...]]]]:
    """Run one SQL statement beside the application and return its rows, all read."""

    async def run(statement: str, **values: object) -> list[tuple[Any, ...]]:
        async with transaction(sessions) as session:
            result = cast(CursorResult[Any], await session.execute(text(statement), values))
            return [tuple(row) for row in result] if result.returns_rows else []

    return run


@pytest.fixture
def row_counts(sessions: SessionFactory) -> Callable[[], Awaitable[dict[str, int]]]:
    """Count the rows of each table that has any."""

    async def count() -> dict[str, int]:
        async with transaction(sessions) as session:
            counts = {
                name: (await session.execute(select(func.count()).select_from(table))).scalar_one()
                for name, table in Base.metadata.tables.items()
            }
        return {name: count for name, count in counts.items() if count}

    return count


@pytest.fixture
def eventually() -> Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]:
    """Wait until a condition holds."""

    async def wait(condition: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(20):
            while True:
                if await condition():
                    return
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def settings(database: DatabaseSettings, redis_url: str) -> Settings:
    """Settings of the application. Its jobs go to a Redis database that no other test looks at."""
    return Settings(database=database, redis=RedisSettings(url=redis_url.removesuffix("/0") + "/9"))


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    # Unconfigured, structlog draws each traceback with all local variables, which takes seconds.
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer()])


@asynccontextmanager
async def _run_app(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(create_app(settings)) as manager:
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
