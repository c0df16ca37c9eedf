"""Vectors in a file, so that an index is built again, or a data set restored, without embedding a text twice."""

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
"""How long another process may hold the file."""

MAX_NAMED: Final = 500
"""Keys in one statement, below the fewest parameters that any SQLite takes."""
TOUCH_AFTER_S: Final = 86_400
"""A vector's last use is noted once a day: reading must not mean writing."""
EVICTED_SHARE: Final = 10
"""One in so many vectors goes when there is no more room."""

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS vectors (model TEXT NOT NULL, key BLOB NOT NULL, vector BLOB NOT NULL, "
    "used_at INTEGER NOT NULL, PRIMARY KEY (model, key))"
)
_INDEX: Final = "CREATE INDEX IF NOT EXISTS vectors_by_use ON vectors (used_at)"


class DiskVectors:
    """A `VectorStore` in one SQLite file, which processes of one machine can share.

    It holds no text, but vectors give away what a text is about: the file is readable by its owner only. Deleting it
    costs nothing but time.

    Args:
        path: the file; made at the first use, with its folder.
        max_bytes: about the largest size of the file. Beyond it the least recently used vectors go.
        ttl: seconds after its last use (to a day) for which a vector stays.
        clock: seconds since 1970; for tests.
    """

    def __init__(self, path: Path, *, max_bytes: int, ttl: int, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._clock = clock
        self._database: sqlite3.Connection | None = None
        # SQLite blocks, and its connection belongs to one thread.
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
                _write_ahead(database)
                # The last writes may go with the power, which is no loss here.
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
        for named in batched(keys, MAX_NAMED):
            marks = ", ".join("?" * len(named))
            statement = f"SELECT key, vector, used_at FROM vectors WHERE model = ? AND key IN ({marks})"  # noqa: S608
            for key, vector, used_at in database.execute(statement, (model, *named)):
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
        """Remove the least recently used; return how many."""
        with database:
            [(count,)] = database.execute("SELECT count(*) FROM vectors").fetchall()
            oldest = "SELECT rowid FROM vectors ORDER BY used_at, rowid LIMIT ?"
            some = -(-count // EVICTED_SHARE)
            return database.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})", (some,)).rowcount  # noqa: S608


def _write_ahead(database: sqlite3.Connection) -> None:
    """Let readers of other processes not wait for a writer.

    The switch needs the file alone, and SQLite's own timeout does not wait for that when others make it too.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Its lower byte tells the kind of the error.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
