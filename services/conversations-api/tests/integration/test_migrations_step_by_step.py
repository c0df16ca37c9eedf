"""Each migration is compatible with the previous release, which can still read and write the new tables.

What it reads and writes is taken from the tables as they were before the migration: a row with values for all of their
columns and no other, each column read, changed and deleted; every value of an enum; texts as long as they may be.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from conversations_api.settings import DatabaseSettings
from sqlalchemy import (
    BINARY,
    JSON,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

DRIVERS = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}
SERVICE = Path(__file__).resolve().parents[2]
EVERY_KIND = pytest.mark.parametrize(
    "empty_database",
    [
        "sqlite",
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mysql9", marks=[pytest.mark.mysql, pytest.mark.slow]),
    ],
    indirect=True,
)
LONGEST = 1000
"""Characters of a text without a limit of its own."""


def steps() -> list[tuple[str, str]]:
    """Return each migration with its predecessor, oldest first."""
    scripts = ScriptDirectory.from_config(Config(SERVICE / "alembic.ini"))
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    return list(pairwise(revisions))


def steps_that_stop_the_release_before() -> list[tuple[str, str]]:
    """Return those that declare it."""
    config = Config(SERVICE / "alembic.ini")
    return [(before, after) for before, after in steps() if stops_the_release_before(config, after)]


@pytest.fixture
def engine(empty_database: DatabaseSettings) -> Iterator[Engine]:
    engine = create_engine(empty_database.address.set(drivername=DRIVERS[empty_database.address.get_backend_name()]))
    yield engine
    engine.dispose()


class FormerRelease:
    """What a release does with its tables, known from these alone. `unused` columns are those it leaves alone."""

    def __init__(self, engine: Engine, unused: Sequence[str] = ()) -> None:
        self._engine = engine
        self._unused = frozenset(unused)
        metadata = MetaData()
        metadata.reflect(engine)
        self._tables = [table for table in metadata.sorted_tables if table.name != "alembic_version"]
        self._allowed = {table.name: self._allowed_values(table) for table in self._tables}
        self._written = 0

    def write(self) -> None:
        """Insert as many rows into each table as it takes to have every value of each enum once."""
        with self._engine.begin() as connection:
            for number in range(max(len(values) for names in self._allowed.values() for values in names.values())):
                self._written += 1
                for table in self._tables:
                    row = {column.name: self._value(column, number) for column in self._columns(table)}
                    connection.execute(insert(table).values(row))

    def read_change_and_delete(self) -> None:
        """Write, read and change every column of every table, and find each row that was written."""
        with self._engine.begin() as connection:
            for table in reversed(self._tables):
                self._check(connection, table)

    def _check(self, connection: Connection, table: Table) -> None:
        columns = self._columns(table)
        # With all columns named, as an ORM reads them.
        rows = connection.execute(select(*columns).order_by(*table.primary_key)).mappings().all()
        assert len(rows) == self._written
        for column in columns:
            assert all(row[column.name] is not None for row in rows), f"{table.name}.{column.name} lost its values"
        changed = {column: rows[0][column.name] for column in columns if not column.primary_key}
        its_own = [column == rows[0][column.name] for column in table.primary_key]
        connection.execute(update(table).where(*its_own).values(changed))
        connection.execute(delete(table))
        assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0

    def _columns(self, table: Table) -> list[Column[Any]]:
        return [column for column in table.columns if f"{table.name}.{column.name}" not in self._unused]

    def _allowed_values(self, table: Table) -> dict[str, list[str]]:
        """Return the values of each enum: of a column's type, or of a check on it."""
        found = {column.name: list(column.type.enums) for column in table.columns if isinstance(column.type, Enum)}
        for check in inspect(self._engine).get_check_constraints(table.name):
            name = re.search(r"\w+", check["sqltext"])
            if name and (values := re.findall(r"'([^']*)'", check["sqltext"])):
                found[name.group()] = values
        return found

    def _key(self, column: Column[Any]) -> object:
        if isinstance(column.type, BINARY | LargeBinary):
            return self._written.to_bytes(32)
        return self._written if isinstance(column.type, Integer) else str(self._written)

    def _value(self, column: Column[Any], number: int) -> object:
        table = column.table
        if values := self._allowed[table.name].get(column.name):
            return values[number % len(values)]
        if column.primary_key or column.foreign_keys:
            return self._key(column)
        match column.type:
            case Boolean():
                return True
            case Integer() | Float():
                return number
            case BINARY() | LargeBinary():
                return self._written.to_bytes(32)
            case JSON():
                return {"number": number}
            case Date():
                return date(2026, 1, 2)
            case DateTime():
                return datetime.fromisoformat("2026-01-02T03:04:05.678901")
            case String():
                # Some must differ from row to row.
                return str(self._written).ljust(min(column.type.length or LONGEST, LONGEST), "x")
        raise AssertionError(f"{table.name}.{column.name} is of a type without an example here: {column.type}")


def contracted(config: Config, revision: str) -> Sequence[str]:
    """Return the columns that a migration drops and declares as unused by the previous release."""
    module = ScriptDirectory.from_config(config).get_revision(revision).module
    return getattr(module, "unused_by_the_release_before", ())


def stops_the_release_before(config: Config, revision: str) -> bool:
    """Return whether a migration declares that the previous release must be stopped."""
    module = ScriptDirectory.from_config(config).get_revision(revision).module
    return getattr(module, "requires_downtime", False)


def check_step(config: Config, engine: Engine, before: str, after: str) -> None:
    """Run one migration between two runs of the previous release."""
    command.upgrade(config, before)
    release = FormerRelease(engine, unused=contracted(config, after))
    release.write()
    command.upgrade(config, after)
    release.write()
    release.read_change_and_delete()


@EVERY_KIND
def test_each_migration_keeps_the_previous_release_working(
    engine: Engine, empty_database: DatabaseSettings, alembic_config: Callable[[DatabaseSettings], Config]
) -> None:
    config = alembic_config(empty_database)
    # One after the other in the same database, which each leaves empty.
    for before, after in steps():
        if stops_the_release_before(config, after):
            command.upgrade(config, after)
        else:
            check_step(config, engine, before, after)


@EVERY_KIND
@pytest.mark.parametrize(("before", "after"), steps_that_stop_the_release_before())
def test_no_migration_stops_the_previous_release_without_need(
    before: str,
    after: str,
    engine: Engine,
    empty_database: DatabaseSettings,
    alembic_config: Callable[[DatabaseSettings], Config],
) -> None:
    with pytest.raises(DBAPIError):
        check_step(alembic_config(empty_database), engine, before, after)


@EVERY_KIND
def test_a_downgrade_keeps_the_rows(
    engine: Engine, empty_database: DatabaseSettings, alembic_config: Callable[[DatabaseSettings], Config]
) -> None:
    config = alembic_config(empty_database)
    for before, after in steps():
        command.upgrade(config, before)
        release = FormerRelease(engine, unused=contracted(config, after))
        release.write()
        for _ in range(2):
            command.upgrade(config, after)
            command.downgrade(config, before)
        release.read_change_and_delete()


TABLE = "mental_health_conversations"
TOO_EARLY: Mapping[str, str] = {
    "a column that must be written": "batch.add_column(sa.Column('note', sa.String(8), nullable=False))",
    "a column taken away": "batch.drop_column('version')",
    "a column renamed": "batch.alter_column('version', new_column_name='edition', existing_type=sa.Integer())",
    "a shorter text": "batch.alter_column('question', type_=sa.String(20), existing_type=sa.Text())",
}


def head_of(config: Config) -> str:
    return str(ScriptDirectory.from_config(config).get_current_head())


def add_migration(config: Config, folder: Path, revision: str, change: str, unused: Sequence[str] = ()) -> None:
    """Add a migration after the last one."""
    (folder / f"{revision}.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = {revision!r}\ndown_revision = {head_of(config)!r}\nbranch_labels = None\ndepends_on = None\n"
        f"unused_by_the_release_before = {list(unused)!r}\n"
        f"def upgrade():\n    with op.batch_alter_table({TABLE!r}) as batch:\n        {change}\n"
    )
    own = f"{config.get_main_option('script_location')}/versions"
    config.set_main_option("version_locations", os.pathsep.join([str(folder), own]))


@pytest.mark.mysql
@pytest.mark.parametrize("empty_database", ["mysql"], indirect=True)
@pytest.mark.parametrize("change", TOO_EARLY.values(), ids=TOO_EARLY)
def test_a_migration_that_breaks_the_previous_release_is_detected(
    change: str,
    engine: Engine,
    empty_database: DatabaseSettings,
    alembic_config: Callable[[DatabaseSettings], Config],
    tmp_path: Path,
) -> None:
    config = alembic_config(empty_database)
    head = head_of(config)
    add_migration(config, tmp_path, "next", change)
    with pytest.raises(DBAPIError):
        check_step(config, engine, head, "next")


@EVERY_KIND
def test_what_the_previous_release_no_longer_uses_may_be_dropped(
    engine: Engine,
    empty_database: DatabaseSettings,
    alembic_config: Callable[[DatabaseSettings], Config],
    tmp_path: Path,
) -> None:
    """The life of a column: added, then unused, then dropped, in successive releases."""
    config = alembic_config(empty_database)
    head = head_of(config)
    add_migration(config, tmp_path, "add", "batch.add_column(sa.Column('note', sa.String(8)))")
    add_migration(config, tmp_path, "drop", "batch.drop_column('note')", unused=[f"{TABLE}.note"])
    check_step(config, engine, head, "add")
    check_step(config, engine, "add", "drop")
