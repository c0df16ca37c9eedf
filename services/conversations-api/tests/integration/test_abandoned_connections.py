"""A connection to SQLite that nobody waits for any more is closed, as one that was used is."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from conversations_api.database import make_engine, ping
from conversations_api.settings import DatabaseSettings
from mh_devtools.testing.waiting import eventually


async def test_a_connection_whose_opening_is_cancelled_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []
    asked, may_open = threading.Event(), threading.Event()

    def connect(*place: Any, connect: Any = sqlite3.connect, **options: Any) -> sqlite3.Connection:
        asked.set()
        assert may_open.wait(30)
        opened.append(connect(*place, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect)
    engine = make_engine(DatabaseSettings(url=f"sqlite+aiosqlite:///{tmp_path}/test.db"))
    pinging = asyncio.create_task(ping(engine))
    assert await asyncio.to_thread(asked.wait, 30)
    pinging.cancel()
    may_open.set()
    with pytest.raises(asyncio.CancelledError):
        await pinging
    await eventually(lambda: len(opened) == 1)
    await engine.dispose()

    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        opened[0].execute("SELECT 1")
