"""The migrations: up, the same as the models, down, up again, and twice at once."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.config import Config
from conversations_api.models import ConversationRow, IndexStateRow
from conversations_api.settings import DatabaseSettings
from mh_common.models import IndexStatus, Sentiment
from sqlalchemy import create_engine, insert, inspect, text

TABLES = {
    "mental_health_conversations",
    "index_states",
    "index_outbox",
    "index_runs",
    "idempotency_keys",
    "experiments",
    "query_history",
    "alembic_version",
}


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


def test_up_down_and_up_again(empty_database: DatabaseSettings, config: Config) -> None:
    command.upgrade(config, "head")
    assert tables(empty_database) == TABLES
    command.check(config)
    command.downgrade(config, "base")
    assert tables(empty_database) == {"alembic_version"}
    command.upgrade(config, "head")
    command.check(config)


def columns(database: DatabaseSettings) -> dict[str, list[str]]:
    engine = create_engine(database.address.set(drivername=DRIVERS[database.address.get_backend_name()]))
    try:
        found = inspect(engine)
        return {name: [str(column) for column in found.get_columns(name)] for name in found.get_table_names()}
    finally:
        engine.dispose()


def test_the_second_migration_leaves_the_release_before_it_what_it_knows(
    empty_database: DatabaseSettings, config: Config
) -> None:
    command.upgrade(config, "0001")
    before = columns(empty_database)
    command.upgrade(config, "0002")
    after = columns(empty_database)
    assert {name: after[name] for name in before} == before


def test_the_release_before_the_third_migration_goes_on_to_write(
    empty_database: DatabaseSettings, config: Config
) -> None:
    command.upgrade(config, "0003")
    engine = create_engine(empty_database.address.set(drivername=DRIVERS[empty_database.address.get_backend_name()]))
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO index_outbox (conversation_id, job, created_at) VALUES (1, 'j', '2026-01-01 00:00:00')")
        )
    command.downgrade(config, "0002")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT conversation_id, job FROM index_outbox")).all() == [(1, "j")]
    engine.dispose()


def start(config: Config, database: DatabaseSettings, *arguments: str) -> subprocess.Popen[str]:
    """Run `alembic` as an operator does."""
    assert config.config_file_name is not None
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", config.config_file_name, *arguments],
        env={**os.environ, "DATABASE_URL": database.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_upgrades_at_once_wait_for_each_other(empty_database: DatabaseSettings, config: Config) -> None:
    running = [start(config, empty_database, "upgrade", "head") for _ in range(3)]
    outputs = [process.communicate(timeout=100)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    assert tables(empty_database) == TABLES


def test_a_database_that_is_not_there_is_said_in_one_line(config: Config) -> None:
    nowhere = DatabaseSettings(url="mysql+aiomysql://root@127.0.0.1:1/legacy_development")
    process = start(config, nowhere, "upgrade", "head")
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
        state = insert(IndexStateRow).values(conversation_id=1, status=IndexStatus.PENDING, attempts=0, queued_at=now)
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
