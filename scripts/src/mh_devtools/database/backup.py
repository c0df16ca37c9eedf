"""Back up the conversations database to a file, and restore it into an empty database.

The database is the one in DATABASE_URL: MySQL, MariaDB or SQLite. A backup of one can be restored into another. The
file is gzipped JSON: a header line, one line per row, and a line with the row count and checksum of each table. It is a
consistent snapshot, even if the database is in use. A restore verifies what it wrote and queues every conversation for
indexing, so that the index is rebuilt as soon as the services start. Accounts and API keys are included, sessions are
not: whoever was signed in signs in again.
"""

import argparse
import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from conversations_api.settings import AccountsSettings
from mh_common.jobs import IndexJob
from mh_common.models import IndexRunKind, IndexRunStatus, IndexStatus, RunCounts
from mh_common.settings import load_settings
from mh_common.units import CONVERSATION, UnitKey
from sqlalchemy import (
    BINARY,
    URL,
    Connection,
    Date,
    DateTime,
    Engine,
    Float,
    LargeBinary,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from mh_devtools.database.backup_file import BATCH, FORMAT, BackupError, Digest, Sums, batches, read_checked
from mh_devtools.paths import DATABASE_SERVICE

LEFT_OUT: Final = frozenset({"alembic_version", "sessions", "oidc_sign_ins"})
"""The version is in the header. A restored session could be one that its user ended after the backup; a sign-in
that was under way is over."""
DRIVERS: Final = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}


def backup(address: URL, file: Path) -> dict[str, Digest]:
    """Back up the database; return the digest of each table. `file` must not exist; only its owner can read it."""
    if file.exists():
        raise BackupError(f"{file} already exists; choose another file name.")
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        raise BackupError(f"The database file {address.database} does not exist.")
    part = file.with_name(f"{file.name}.part")
    with _engine(address) as engine, engine.connect() as connection:
        _begin_snapshot(connection)
        tables = _tables(connection)
        head = {
            "format": FORMAT,
            "made_at": datetime.now(UTC).isoformat(),
            "revision": connection.scalar(text("SELECT version_num FROM alembic_version")),
            "columns": {table.name: [column.name for column in table.columns] for table in tables},
            "next_ids": _next_ids(connection, tables),
        }
        digests: dict[str, Digest] = {}
        descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as raw, gzip.open(raw, "wt", encoding="utf-8", newline="\n") as out:
            print(json.dumps(head), file=out)
            for table in tables:
                sums = Sums()
                for line in _lines(connection, table, head["columns"][table.name]):
                    sums.add(line)
                    print(json.dumps(table.name), line, sep="\t", file=out)
                digests[table.name] = sums.digest
            print(json.dumps({name: vars(digest) for name, digest in digests.items()}), file=out)
        part.rename(file)
    return digests


def restore(address: URL, file: Path) -> dict[str, Digest]:
    """Restore a backup into an empty database, verify every table, and queue every conversation for indexing."""
    head, digests = read_checked(file)
    with _engine(address) as engine, engine.connect() as connection:
        for table in _tables(connection):
            if connection.scalar(select(func.count()).select_from(table)):
                raise BackupError(f"The database is not empty ({table.name} has rows); restore into an empty database.")
    _migrate(address, head["revision"])
    with _engine(address) as engine:
        with engine.begin() as connection:
            tables = {table.name: table for table in _tables(connection)}
            for name, rows in batches(file):
                connection.execute(tables[name].insert(), _decode(tables[name], head["columns"][name], rows))
            for name, digest in digests.items():
                if (found := _digest(connection, tables[name], head["columns"][name])) != digest:
                    raise BackupError(
                        f"{name} was restored with {found.rows} rows that differ from the backup; rolled back."
                    )
        with engine.begin() as connection:
            _set_next_ids(connection, head["next_ids"])
    _migrate(address, "head")
    with _engine(address) as engine, engine.begin() as connection:
        _queue_everything(connection)
    return digests


@contextlib.contextmanager
def _engine(address: URL) -> Iterator[Engine]:
    """Yield an engine; database errors become BackupError, without any row's text."""
    engine = create_engine(address.set(drivername=DRIVERS[address.get_backend_name()]), hide_parameters=True)
    if engine.dialect.name == "sqlite":
        # The driver does not begin a transaction for reads, so each would see a different snapshot.
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        yield engine
    except SQLAlchemyError as error:
        raise BackupError(f"The database failed: {type(error).__name__}: {getattr(error, 'orig', error)}") from error
    finally:
        engine.dispose()


def _begin_snapshot(connection: Connection) -> None:
    """Make all following reads see the same snapshot."""
    if connection.dialect.name == "mysql":
        connection.execution_options(isolation_level="REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")


def _tables(connection: Connection) -> list[Table]:
    """Return the existing tables but those left out, referenced ones first."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Float):
                # Read as float: MySQL's dialect would convert it to a rounded decimal.
                column.type.asdecimal = False
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def _next_ids(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """Return the next id of each table, so that ids of deleted rows are not reused after a restore either."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT name, seq + 1 FROM sqlite_sequence"))
        return {row[0]: int(row[1]) for row in found}
    next_ids = {}
    for table in tables:
        definition = connection.execute(text(f"SHOW CREATE TABLE {table.name}")).one()[1]
        if match := re.search(r"\bAUTO_INCREMENT=(\d+)", definition):
            next_ids[table.name] = int(match[1])
    return next_ids


def _set_next_ids(connection: Connection, next_ids: Mapping[str, int]) -> None:
    for name, number in next_ids.items():
        if connection.dialect.name == "mysql":
            connection.exec_driver_sql(f"ALTER TABLE {name} AUTO_INCREMENT = {number:d}")
        else:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
            sequence = {"name": name, "seq": number - 1}
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), sequence)


def _lines(connection: Connection, table: Table, columns: Sequence[str]) -> Iterator[str]:
    """Yield each row as JSON, in primary key order; the same text on every engine."""
    query = select(*(table.c[name] for name in columns)).order_by(*table.primary_key.columns)
    with connection.execution_options(stream_results=True, yield_per=BATCH).execute(query) as rows:
        for row in rows:
            yield json.dumps([_plain(value) for value in row], ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    # Engines without a boolean type store 0 and 1.
    return int(value) if isinstance(value, bool) else value


def _digest(connection: Connection, table: Table, columns: Sequence[str]) -> Digest:
    sums = Sums()
    for line in _lines(connection, table, columns):
        sums.add(line)
    return sums.digest


def _decode(table: Table, columns: Sequence[str], rows: Iterable[str]) -> list[dict[str, Any]]:
    types = {name: table.c[name].type for name in columns}
    decoded = (zip(columns, json.loads(row), strict=True) for row in rows)
    return [{name: _typed(types[name], value) for name, value in row} for row in decoded]


def _typed(kind: TypeEngine[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, LargeBinary | BINARY):
        return bytes.fromhex(value)
    return date.fromisoformat(value) if isinstance(kind, Date) else value


def _queue_everything(connection: Connection) -> None:
    """Queue every unit for indexing, as the index's content is unknown, and a reconciliation that removes orphans."""
    now = datetime.now(UTC).replace(tzinfo=None)
    tables = {table.name: table for table in _tables(connection)}
    unknown = {"attempts": 0, "reason": None, "indexed_version": None, "indexed_at": None}
    pending = {"status": IndexStatus.PENDING.value, "queued_at": now}
    connection.execute(tables["index_states"].update().values(pending | unknown))
    states = select(*(tables["index_states"].c[name] for name in UnitKey._fields))
    # A conversation that another program wrote to the database may have no state.
    rows = select(literal(CONVERSATION), tables["mental_health_conversations"].c.id, literal(0))
    units = states.union(rows).subquery()
    jobs = select(*units.c, literal(IndexJob.UPDATED.value), literal(now)).order_by(*units.c)
    columns = [*UnitKey._fields, "job", "created_at"]
    connection.execute(tables["index_outbox"].insert().from_select(columns, jobs))
    # The run finds entries of the index that are not in the backup.
    run = {"kind": IndexRunKind.RECONCILE.value, "status": IndexRunStatus.QUEUED.value, "force": False}
    run |= dict.fromkeys(RunCounts.model_fields, 0) | {"requested_at": now, "message_due_at": now}
    connection.execute(tables["index_runs"].insert().values(run))


def _migrate(address: URL, revision: str) -> None:
    env = {**os.environ, "DATABASE_URL": address.render_as_string(hide_password=False)}
    command = [sys.executable, "-m", "alembic", "upgrade", revision]
    done = subprocess.run(command, cwd=DATABASE_SERVICE, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BackupError(f"The database could not be migrated to revision {revision}: {lines[-1]}")


def main() -> None:
    """Back up or restore, and print the digest of each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["backup", "restore"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    act = backup if arguments.action == "backup" else restore
    try:
        digests = act(load_settings(AccountsSettings).database.address, arguments.file)
    except (BackupError, OSError) as error:
        sys.exit(str(error))
    for name, digest in digests.items():
        print(f"{name:<32} {digest.rows:>9} rows  sha256 {digest.sha256}")
    if arguments.action == "restore":
        print("Restored and verified. Start the services: every conversation is queued, so the index is rebuilt.")


if __name__ == "__main__":
    main()
