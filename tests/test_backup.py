"""Backups: a restore brings back everything, on either engine, and the index is rebuilt from it."""

import gzip
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pymysql
import pytest
from alembic import command
from alembic.config import Config
from conversations_api.models import (
    Base,
    ConversationRow,
    ExperimentRow,
    HistoryRow,
    IdempotencyKeyRow,
    IndexStateRow,
    OidcSignInRow,
    OutboxRow,
    UserIdentityRow,
    UserSessionRow,
)
from conversations_api.settings import DatabaseSettings
from mh_common.jobs import IndexJob
from mh_common.models import IndexStatus, Sentiment
from mh_common.units import conversation_units
from mh_devtools.database import backup as saving
from mh_devtools.database.backup import backup, restore
from mh_devtools.database.backup_file import BackupError
from mh_devtools.paths import DATABASE_SERVICE
from mh_devtools.testing.fixtures import MySQL
from sqlalchemy import URL, Column, Connection, TypeDecorator, create_engine, delete, func, insert, select

ENGINES = ["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)]
TEXTS = ["plain", "tab\tand\nlines\r\n", "quotes \" ' \\ and %s :name", "emoji 🙂 and \u2028 separators", "x" * 70_000]
ID = 50
"""Of the row with every column, in each table."""
NOT_RESTORED = (UserSessionRow, OidcSignInRow)
AT = datetime(2026, 3, 2, 9, 15, 0, 123456, tzinfo=UTC)


MakeDatabase = Callable[[str, str], URL]


@pytest.fixture
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> MakeDatabase:
    """Makes an empty database of an engine, anew if there is one of that name."""

    def make(engine: str, name: str) -> URL:
        if engine == "sqlite":
            return DatabaseSettings(url=f"sqlite+aiosqlite:///{tmp_path / name}.db").address
        server: MySQL = request.getfixturevalue("mariadb")
        with pymysql.connect(host="127.0.0.1", port=server.port, user="root") as connection:
            connection.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
            connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        return DatabaseSettings(url=server.url(name)).address

    return make


def bring_up_to_date(address: URL) -> None:
    # In this process: another one takes several times as long.
    config = Config(DATABASE_SERVICE / "alembic.ini")
    config.attributes["database"] = DatabaseSettings(url=address.render_as_string(hide_password=False))
    command.upgrade(config, "head")


def connected(address: URL, work: Callable[[Connection], Any]) -> Any:
    """Do something in a transaction, and return what it returns."""
    driver = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}[address.get_backend_name()]
    engine = create_engine(address.set(drivername=driver))
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def add_rows(connection: Connection, first: int = 1) -> None:
    """Write one conversation a text, with all that belongs to it."""
    times = {"created_at": AT, "updated_at": AT}
    sentiments = {"question_sentiment": Sentiment.NEGATIVE, "answer_sentiment": Sentiment.NEUTRAL}
    rows = [
        {"id": first + n, "question": text, "answer": text, "version": n + 1, **times, **sentiments}
        for n, text in enumerate(TEXTS)
    ]
    connection.execute(insert(ConversationRow), rows)
    units = conversation_units(range(first, first + len(TEXTS)))
    state = {"status": IndexStatus.INDEXED, "indexed_version": 1, "attempts": 1, "queued_at": AT, "indexed_at": AT}
    connection.execute(insert(IndexStateRow), [{**unit._asdict(), **state} for unit in units])
    key = {"key": f"Key-{first}", "request_hash": "0" * 64, "created_at": AT, "result_ids": f"[{first}]"}
    connection.execute(insert(IdempotencyKeyRow), key)
    json_texts = dict.fromkeys(("configuration", "metrics", "per_case"), '{"text": "🙂"}')
    data_set = {"data_set_name": "q.jsonl", "data_set_sha256": "0" * 64, "data_set_cases": 2}
    experiment = {"id": first, "created_at": AT, "name": "n", "duration_seconds": 0.1 + 0.2, "note": None}
    connection.execute(insert(ExperimentRow), {**experiment, **json_texts, **data_set})
    person = {"id": first, "issuer": "urn:example", "subject": f"alice-{first}", "email_verified": False}
    connection.execute(insert(UserIdentityRow), {**person, "linked_at": AT})
    answer = {"id": first, "answer_id": f"answer-{first}", "identity_id": first, "created_at": AT, "model": "m"}
    texts_of = dict.fromkeys(("question", "standalone_query", "answer", "comment"), TEXTS[0])
    found = {"filters": "{}", "hits": "[]", "usage": "{}", "latency_ms": 1e-7, "rating": "up", "feedback_at": AT}
    connection.execute(insert(HistoryRow), {**answer, **texts_of, **found})


def add_a_row_with_every_column(connection: Connection) -> None:
    """Write one row to each table, with a value in every column, also in those that are added later."""
    for table in ConversationRow.metadata.sorted_tables:
        row = {column.name: a_value(column) for column in table.columns}
        connection.execute(insert(table), row | {name: ID for name in ("id", "source_id") if name in row})


def a_value(column: Column[Any]) -> Any:
    """A value of the column's type, or the id of the row that it refers to."""
    if column.foreign_keys:
        return ID
    stored = column.type
    kind = (stored.impl_instance if isinstance(stored, TypeDecorator) else stored).python_type
    if issubclass(kind, StrEnum):
        return next(iter(kind))
    values = {bool: True, bytes: bytes(range(224, 256)), date: AT.date(), datetime: AT, float: 0.1 + 0.2, int: 7}
    return values.get(kind, "é🙂")


def texts(connection: Connection) -> list[tuple[int, str, str]]:
    query = select(ConversationRow.id, ConversationRow.question, ConversationRow.answer).order_by(ConversationRow.id)
    return [(row.id, row.question, row.answer) for row in connection.execute(query)]


def contents(connection: Connection) -> dict[str, list[Any]]:
    """Every row of the tables to which a restore adds nothing and of which it leaves nothing out."""
    tables = [table for table in ConversationRow.metadata.sorted_tables if not table.name.startswith("index_")]
    for row in NOT_RESTORED:
        tables.remove(Base.metadata.tables[row.__tablename__])
    return {table.name: list(connection.execute(select(table).order_by(*table.primary_key))) for table in tables}


def not_restored(connection: Connection) -> list[int]:
    """The numbers of rows of the tables that a restore leaves empty."""
    counts = [connection.execute(select(func.count()).select_from(row)).scalar_one() for row in NOT_RESTORED]
    return [int(count) for count in counts]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database that the migrations made; a copy of it is there at once."""
    file = tmp_path_factory.mktemp("migrated") / "migrated.db"
    bring_up_to_date(DatabaseSettings(url=f"sqlite+aiosqlite:///{file}").address)
    return file


@pytest.fixture
def filled(make_database: MakeDatabase, migrated_file: Path, request: pytest.FixtureRequest) -> URL:
    """A database with conversations, one of which was deleted: the last."""
    engine = getattr(request, "param", "sqlite")
    address = make_database(engine, "backup_source")
    if engine == "sqlite":
        assert address.database is not None
        shutil.copyfile(migrated_file, address.database)
    else:
        bring_up_to_date(address)

    def fill(connection: Connection) -> None:
        add_rows(connection)
        add_rows(connection, 101)
        last = 100 + len(TEXTS)
        connection.execute(delete(IndexStateRow).where(IndexStateRow.source_id == last))
        connection.execute(delete(ConversationRow).where(ConversationRow.id == last))

    connected(address, fill)
    return address


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("filled", ENGINES, indirect=True)
def test_what_was_saved_comes_back_on_either_engine(
    filled: URL, make_database: MakeDatabase, target: str, tmp_path: Path
) -> None:
    file = tmp_path / "saved.gz"
    empty = make_database(target, "backup_target")

    connected(filled, add_a_row_with_every_column)

    saved = backup(filled, file)
    assert restore(empty, file) == saved

    assert saved["mental_health_conversations"].rows == 2 * len(TEXTS)
    assert [saved[name].rows for name in ("users", "api_keys", "installation")] == [1, 1, 1]
    assert connected(empty, contents) == connected(filled, contents)
    assert connected(empty, not_restored) == [0, 0]
    again = tmp_path / "again.gz"
    assert backup(empty, again)["mental_health_conversations"] == saved["mental_health_conversations"]


@pytest.mark.parametrize("filled", ENGINES, indirect=True)
def test_everything_is_queued_for_indexing_and_no_id_is_reused(
    filled: URL, make_database: MakeDatabase, tmp_path: Path
) -> None:
    backup(filled, tmp_path / "saved.gz")
    empty = make_database(filled.get_backend_name(), "backup_target")
    restore(empty, tmp_path / "saved.gz")

    def look(connection: Connection) -> tuple[list[int], list[int], set[IndexStatus], int]:
        ids = list(connection.scalars(select(ConversationRow.id).order_by(ConversationRow.id)))
        owed = connection.execute(select(OutboxRow.source_id, OutboxRow.job).order_by(OutboxRow.id)).all()
        assert {row.job for row in owed} == {IndexJob.UPDATED}
        states = set(connection.scalars(select(IndexStateRow.status)))
        row = {"question": "q", "answer": "a", "version": 1, "created_at": AT, "updated_at": AT}
        row |= {"question_sentiment": Sentiment.NEUTRAL, "answer_sentiment": Sentiment.NEUTRAL}
        new = connection.execute(insert(ConversationRow).values(row)).inserted_primary_key
        assert new is not None
        return ids, [row.source_id for row in owed], states, new[0]

    ids, owed, states, new = connected(empty, look)
    assert owed == ids
    assert states == {IndexStatus.PENDING}
    assert new == 100 + len(TEXTS) + 1


@pytest.mark.parametrize("filled", ENGINES, indirect=True)
def test_a_backup_is_of_one_moment(filled: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_meanwhile(connection: Connection, table: Any, columns: Any) -> Any:
        if table.name == "idempotency_keys":
            connected(filled, lambda other: add_rows(other, 1001))
        return lines(connection, table, columns)

    if filled.get_backend_name() == "sqlite":
        connected(filled, lambda connection: connection.exec_driver_sql("PRAGMA journal_mode = WAL"))
    before = connected(filled, lambda connection: connection.scalar(select(func.count()).select_from(ConversationRow)))
    lines = saving._lines
    monkeypatch.setattr(saving, "_lines", write_meanwhile)

    saved = backup(filled, tmp_path / "saved.gz")

    tables = ("mental_health_conversations", "index_states", "idempotency_keys")
    assert [saved[name].rows for name in tables] == [before, before, 2]


def test_a_backup_is_for_its_owner_and_replaces_no_other(filled: URL, tmp_path: Path) -> None:
    file = tmp_path / "saved.gz"
    backup(filled, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(BackupError, match=r"saved\.gz already exists"):
        backup(filled, file)


def test_a_restore_leaves_a_database_with_rows_alone(filled: URL, tmp_path: Path) -> None:
    backup(filled, tmp_path / "saved.gz")
    before = connected(filled, texts)
    with pytest.raises(BackupError, match="not empty"):
        restore(filled, tmp_path / "saved.gz")
    assert connected(filled, texts) == before


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: [*lines[:2], lines[3], *lines[4:]], "damaged"),
        (lambda lines: [line.replace("plain", "other") for line in lines], "damaged"),
        (lambda lines: lines[:-1], "not a complete backup"),
        (lambda lines: [], "not a complete backup"),
        (lambda lines: [lines[0].replace('"format": 1', '"format": 9'), *lines[1:]], "format 9"),
    ],
    ids=["a row is missing", "a text is another", "the end is missing", "empty", "from a later release"],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    filled: URL, make_database: MakeDatabase, tmp_path: Path, damage: Callable[[list[str]], list[str]], told: str
) -> None:
    file = tmp_path / "saved.gz"
    backup(filled, file)
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as saved:
        lines = damage(list(saved))
    with gzip.open(file, "wt", encoding="utf-8", newline="\n") as damaged:
        damaged.writelines(lines)
    empty = make_database("sqlite", "backup_target")

    with pytest.raises(BackupError, match=told):
        restore(empty, file)

    assert not Path(empty.database or "").exists()


def test_a_cut_off_file_is_refused(filled: URL, make_database: MakeDatabase, tmp_path: Path) -> None:
    file = tmp_path / "saved.gz"
    backup(filled, file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BackupError, match="not a complete backup"):
        restore(make_database("sqlite", "backup_target"), file)


@pytest.mark.slow
def test_the_command_prints_counts_and_says_in_one_line_what_is_wrong(filled: URL, tmp_path: Path) -> None:
    def run(*arguments: str, address: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "mh_devtools.database.backup", *arguments]
        # It needs the database's settings and no others.
        env = {name: value for name, value in os.environ.items() if name != "AUTH_MODE"} | {"DATABASE_URL": address}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    file = str(tmp_path / "saved.gz")
    done = run("backup", file, address=filled.render_as_string())
    assert done.returncode == 0, done.stderr
    assert f"{2 * len(TEXTS) - 1} rows" in done.stdout

    restored = run("restore", file, address=f"sqlite+aiosqlite:///{tmp_path}/new.db")
    assert restored.returncode == 0, restored.stderr
    assert "Restored and verified" in restored.stdout

    absent = run("backup", str(tmp_path / "other.gz"), address=f"sqlite+aiosqlite:///{tmp_path}/absent.db")
    assert (absent.returncode, len(absent.stderr.splitlines())) == (1, 1)
    unreachable = run("backup", str(tmp_path / "other.gz"), address="mysql+aiomysql://root@127.0.0.1:1/absent")
    assert (unreachable.returncode, len(unreachable.stderr.splitlines())) == (1, 1)
