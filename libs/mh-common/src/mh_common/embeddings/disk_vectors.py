"""Vectors in a file, so that an index can be rebuilt, or a data set restored, without embedding texts again."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from mh_common.batches import batched

T = TypeVar("T")

LOCK_TIMEOUT_S: Final = 5.0
"""How long to wait for another process's lock on the file."""

MAX_KEYS_PER_STATEMENT: Final = 500
"""Below the lowest parameter limit of any SQLite build."""
TOUCH_AFTER_S: Final = 86_400
"""A vector's last use is recorded at most once a day, so that reads rarely cause writes."""
EVICTION_DIVISOR: Final = 10
"""When the file is full, one vector in this many is evicted."""

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS vectors (model TEXT NOT NULL, key BLOB NOT NULL, vector BLOB NOT NULL, "
    "used_at INTEGER NOT NULL, PRIMARY KEY (model, key))"
)
_INDEX: Final = "CREATE INDEX IF NOT EXISTS vectors_by_use ON vectors (used_at)"


class DiskVectors:
    """A `VectorStore` in one SQLite file, which processes on the same machine can share.

    It contains no text, but vectors reveal what a text is about, so only the owner can read the file. It can be deleted
    at any time; texts are then embedded again.

    Args:
        path: the file; created on first use, with its folder.
        max_bytes: approximate maximum size of the file. Beyond it, the least recently used vectors are evicted.
        ttl: seconds after its last use (accurate to a day) for which a vector is kept.
        clock: seconds since 1970; for tests.
    """

    def __init__(self, path: Path, *, max_bytes: int, ttl: int, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._clock = clock
        self._database: sqlite3.Connection | None = None
        # SQLite calls block, and a connection belongs to one thread.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk-vectors")

    async def get(self, model: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `VectorStore.get`."""
        return await self._run(lambda: self._get(model, keys))

    async def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """See `VectorStore.put`."""
        await self._run(lambda: self._put(model, vectors))

    async def close(self) -> None:
        """Close the file."""
        await self._run(self._close)
        self._executor.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=LOCK_TIMEOUT_S)
            try:
                _enable_wal(database)
                # The last writes may be lost in a power failure, which does no harm here.
                database.execute("PRAGMA synchronous = NORMAL")
                with database:
                    database.execute(_TABLE)
                    database.execute(_INDEX)
            except sqlite3.Error:
                database.close()
                raise
            self._database = database
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _get(self, model: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        database, now = self._open(), int(self._clock())
        found: dict[bytes, bytes] = {}
        old: list[bytes] = []
        for chunk in batched(keys, MAX_KEYS_PER_STATEMENT):
            marks = ", ".join("?" * len(chunk))
            statement = f"SELECT key, vector, used_at FROM vectors WHERE model = ? AND key IN ({marks})"  # noqa: S608
            for key, vector, used_at in database.execute(statement, (model, *chunk)):
                if used_at >= now - self._ttl:
                    found[key] = vector
                    old += [key] if used_at < now - TOUCH_AFTER_S else []
        if old:
            with database:
                touched = ((now, model, key) for key in old)
                database.executemany("UPDATE vectors SET used_at = ? WHERE model = ? AND key = ?", touched)
        return found

    def _put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        database, now = self._open(), int(self._clock())
        with database:
            rows = ((model, key, vector, now) for key, vector in vectors.items())
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
            database.execute("DELETE FROM vectors WHERE used_at < ?", (now - self._ttl,))
        while self._used_bytes(database) > self._max_bytes and self._evict(database):
            pass

    def _used_bytes(self, database: sqlite3.Connection) -> int:
        [(pages,)], [(free,)], [(size,)] = (
            database.execute(f"PRAGMA {name}").fetchall() for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _evict(self, database: sqlite3.Connection) -> int:
        """Delete the least recently used vectors; return how many."""
        with database:
            [(count,)] = database.execute("SELECT count(*) FROM vectors").fetchall()
            oldest = "SELECT rowid FROM vectors ORDER BY used_at, rowid LIMIT ?"
            some = -(-count // EVICTION_DIVISOR)
            return database.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})", (some,)).rowcount  # noqa: S608


def _enable_wal(database: sqlite3.Connection) -> None:
    """Turn on write-ahead logging, so that readers in other processes do not wait for a writer.

    This needs an exclusive lock, and SQLite's own timeout does not cover other processes doing the same at once.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # The low byte is the primary result code.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
