"""The migrations: up, the same as the models, down, up again, and several at once."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pymysql
import pytest
from alembic import command
from alembic.config import Config
from conversations_api.models import ConversationRow, IndexStateRow
from conversations_api.settings import DatabaseSettings
from mh_common.models import IndexStatus, Sentiment
from sqlalchemy import create_engine, insert, inspect, text

TABLES = {
    "mental_health_conversations",
    "conversation_versions",
    "import_locks",
    "import_updates",
    "index_states",
    "index_outbox",
    "index_runs",
    "idempotency_keys",
    "experiments",
    "query_history",
    "users",
    "user_identities",
    "teams",
    "team_members",
    "sessions",
    "api_keys",
    "installation",
    "oidc_sign_ins",
    "alembic_version",
}


EVERY_KIND = pytest.mark.parametrize(
    "empty_database",
    [
        "sqlite",
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mysql9", marks=[pytest.mark.mysql, pytest.mark.slow]),
    ],
    indirect=True,
)
ON_A_SERVER = pytest.mark.parametrize("empty_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True)
DRIVERS = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}


def tables(database: DatabaseSettings) -> set[str]:
    engine = create_engine(database.address.set(drivername=DRIVERS[database.address.get_backend_name()]))
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


@pytest.fixture
def config(empty_database: DatabaseSettings, alembic_config: Callable[[DatabaseSettings], Config]) -> Config:
    return alembic_config(empty_database)


@EVERY_KIND
def test_up_down_and_up_again(empty_database: DatabaseSettings, config: Config) -> None:
    command.upgrade(config, "head")
    assert tables(empty_database) == TABLES
    command.check(config)
    command.downgrade(config, "base")
    assert tables(empty_database) == {"alembic_version"}
    command.upgrade(config, "head")
    command.check(config)


@EVERY_KIND
def test_the_states_of_conversations_become_those_of_their_units(
    empty_database: DatabaseSettings, config: Config
) -> None:
    """And back again, without what the former tables cannot hold."""
    states = "SELECT kind, source_id, ordinal, status, attempts FROM index_states ORDER BY kind, source_id"
    engine = create_engine(empty_database.address.set(drivername=DRIVERS[empty_database.address.get_backend_name()]))

    def run(*statements: str) -> list[tuple[object, ...]]:
        with engine.begin() as connection:
            for statement in statements:
                result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    texts = "question, answer, question_sentiment, answer_sentiment, version, created_at, updated_at"
    now = "'2026-03-01 12:00:00.123456'"
    command.upgrade(config, "0006")
    run(
        f"INSERT INTO mental_health_conversations (id, {texts}) "  # noqa: S608
        f"VALUES (7, 'q', 'a', 'neutral', 'neutral', 1, {now}, {now})",
        "INSERT INTO index_states (conversation_id, status, attempts, queued_at) "  # noqa: S608
        f"VALUES (7, 'failed', 3, {now})",
        f"INSERT INTO index_outbox (conversation_id, job, created_at) VALUES (7, 'AJob', {now})",  # noqa: S608
        "INSERT INTO idempotency_keys (`key`, request_hash, created_at, conversation_ids) "  # noqa: S608
        f"VALUES ('k', 'x', {now}, '[7]')",
    )
    for _ in range(2):
        command.upgrade(config, "0007")
        assert run(states) == [("conversation", 7, 0, "failed", 3)]
        assert run("SELECT kind, source_id, ordinal, job FROM index_outbox") == [("conversation", 7, 0, "AJob")]
        assert run("SELECT result_ids FROM idempotency_keys") == [("[7]",)]
        run(
            "INSERT INTO index_states (kind, source_id, ordinal, status, attempts, queued_at) "  # noqa: S608
            f"VALUES ('conversation', 8, 0, 'failed', 1, {now}), ('note', 7, 0, 'failed', 1, {now})",
            "INSERT INTO index_outbox (kind, source_id, ordinal, job, created_at) "  # noqa: S608
            f"VALUES ('note', 7, 0, 'AJob', {now})",
        )
        command.downgrade(config, "0006")
        assert run("SELECT conversation_id, status FROM index_states") == [(7, "failed")]
        assert run("SELECT conversation_id FROM index_outbox") == [(7,)]
    engine.dispose()


def start(config: Config, database: DatabaseSettings, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Run `alembic` as an operator does."""
    assert config.config_file_name is not None
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", config.config_file_name, *arguments],
        env={**os.environ, "DATABASE_URL": database.url, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@EVERY_KIND
def test_concurrent_upgrades_wait_for_each_other(empty_database: DatabaseSettings, config: Config) -> None:
    running = [start(config, empty_database, "upgrade", "head") for _ in range(4)]
    outputs = [process.communicate(timeout=100)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], outputs
    assert tables(empty_database) == TABLES


def run_against_a_lock(config: Config, database: DatabaseSettings) -> list[str]:
    """Return the lines of an upgrade that must fail."""
    process = start(config, database, "-x", "lock_timeout=1", "upgrade", "head")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1, output
    return output.splitlines()


def connect(database: DatabaseSettings) -> pymysql.Connection:
    address = database.address
    return pymysql.connect(host="127.0.0.1", port=address.port or 3306, user="root", database=address.database)


@ON_A_SERVER
def test_a_lock_timeout_exits_with_one_line(empty_database: DatabaseSettings, config: Config) -> None:
    with connect(empty_database) as other:
        # Written out: releases with different names for it would not wait for each other.
        other.cursor().execute(
            "SELECT GET_LOCK(CONCAT('conversations_api_migrations:', LEFT(SHA2(DATABASE(), 256), 32)), 0)"
        )
        [line] = run_against_a_lock(config, empty_database)
    assert "locked for 1 s" in line
    command.upgrade(config, "head")


@ON_A_SERVER
def test_a_table_in_use_blocks_a_migration_and_the_service_only_for_a_limited_time(
    empty_database: DatabaseSettings, config: Config
) -> None:
    command.upgrade(config, "head")
    with connect(empty_database) as other:
        other.begin()
        other.cursor().execute("SELECT * FROM index_runs")
        process = start(config, empty_database, "-x", "lock_timeout=1", "downgrade", "0001")
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    [line] = output.splitlines()
    assert "long transaction" in line


def test_on_sqlite_too(alembic_config: Callable[[DatabaseSettings], Config], tmp_path: Path) -> None:
    file = tmp_path / "test.db"
    database = DatabaseSettings(url=f"sqlite+aiosqlite:///{file}")
    config = alembic_config(database)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        [line] = run_against_a_lock(config, database)
    assert "locked for 1 s" in line
    command.upgrade(config, "head")


@pytest.mark.parametrize("given", ["0", "soon", "-1"])
def test_an_invalid_lock_timeout_is_rejected(
    given: str, alembic_config: Callable[[DatabaseSettings], Config], tmp_path: Path
) -> None:
    database = DatabaseSettings(url=f"sqlite+aiosqlite:///{tmp_path}/test.db")
    process = start(alembic_config(database), database, "-x", f"lock_timeout={given}", "upgrade", "head")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "lock_timeout must be a whole number" in output


@ON_A_SERVER
def test_migrations_of_another_database_of_the_server_are_not_waited_for(
    empty_database: DatabaseSettings, config: Config
) -> None:
    with connect(empty_database) as other:
        cursor = other.cursor()
        cursor.execute("SELECT GET_LOCK(CONCAT('conversations_api_migrations:', LEFT(SHA2('another', 256), 32)), 0)")
        process = start(config, empty_database, "-x", "lock_timeout=1", "upgrade", "head")
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output


def test_a_missing_database_is_reported_in_one_line(
    alembic_config: Callable[[DatabaseSettings], Config],
) -> None:
    nowhere = DatabaseSettings(url="mysql+aiomysql://root@127.0.0.1:1/legacy_development")
    process = start(alembic_config(nowhere), nowhere, "upgrade", "head", STARTUP_TIMEOUT="1")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "DATABASE_URL" in output
    assert len(output.splitlines()) == 1


def test_changing_a_table_on_sqlite_keeps_the_rows_that_refer_to_it(
    alembic_config: Callable[[DatabaseSettings], Config], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Alembic changes a SQLite table by copying and dropping it, which must not delete what refers to it."""
    database = DatabaseSettings(url=f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('copied')}/test.db")
    command.upgrade(alembic_config(database), "head")
    engine = create_engine(database.address.set(drivername="sqlite"))
    now = datetime.now(UTC)
    with engine.begin() as connection:
        connection.execute(
            insert(ConversationRow).values(
                id=1,
                created_at=now,
                updated_at=now,
                question="q",
                answer="a",
                question_sentiment=Sentiment.NEUTRAL,
                answer_sentiment=Sentiment.NEUTRAL,
                version=1,
            )
        )
        state = insert(IndexStateRow).values(
            kind="conversation", source_id=1, ordinal=0, status=IndexStatus.PENDING, attempts=0, queued_at=now
        )
        connection.execute(state)
    folder = tmp_path_factory.mktemp("versions")
    (folder / "next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision = 'next'\ndown_revision = '0005'\nbranch_labels = None\ndepends_on = None\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('mental_health_conversations', recreate='always') as batch:\n"
        "        batch.add_column(sa.Column('note', sa.Text(), nullable=True))\n"
    )
    config = alembic_config(database)
    config.set_main_option(
        "version_locations", os.pathsep.join([str(folder), f"{config.get_main_option('script_location')}/versions"])
    )
    command.upgrade(config, "next")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM index_states")).scalar_one() == 1
    engine.dispose()
