"""An import through client and HTTP, compared with the database's maximum rate, and with one POST per row."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import pymysql
from mh_client import Client, ConversationCreate
from mh_client.importing import DEFAULT_BATCH_ROWS
from mh_common.text import content_hash
from mh_common.units import conversation_units
from pymysql.cursors import Cursor

from mh_devtools.bench.bare_api import JOBS
from mh_devtools.bench.data import import_whole
from mh_devtools.bench.measuring import Bench, Figure, Side, at_least, in_turn, ratios, timed
from mh_devtools.bench.texts import variants, write_rows
from mh_devtools.stack.server_stack import NO_MILVUS, ServerStack

NAIVE_ROWS: Final = 150
"""Rows per round that are sent one by one, which is slow."""

OURS, LIMIT, NAIVE = "mh import", "executemany", "one POST a row"


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure committed rows per second. No worker is running, but the relay is."""
    count = bench.scale.import_rows
    # An import skips rows that are there already, so that each round needs others.
    starts, rows = itertools.count(0, count), variants(bench.rows, 0, count)
    with (
        ServerStack(bench.folder, durable=True, deployed=True, rag_app=None, milvus_uri=NO_MILVUS) as stack,
        Client(stack.api_url, timeout=60) as client,
        closing(stack.connect_to_mysql(stack.add_database())) as connection,
    ):
        sides: dict[str, Side] = {
            OURS: lambda: _import(client, bench.folder / "rows.csv", variants(bench.rows, next(starts), count)),
            LIMIT: partial(_execute_many, connection, rows),
            NAIVE: partial(_one_by_one, client, rows[:NAIVE_ROWS]),
        }
        rates = in_turn(sides, bench.scale.rounds)
    for side, goal in ((LIMIT, 0.5), (NAIVE, 15)):
        shown = {f"{one}, rows/s": rates[one] for one in (OURS, side)}
        yield Figure(f"import / {side}", "times", at_least(goal), ratios(rates[OURS], rates[side]), shown)


def _import(client: Client, path: Path, rows: Sequence[ConversationCreate]) -> float:
    write_rows(rows, path)
    seconds = timed(lambda: asyncio.run(import_whole(client.base_url, path)))
    # So that the relay is idle while the others are measured.
    while client.index.summary().outbox_depth:
        time.sleep(0.05)
    return len(rows) / seconds


def _execute_many(connection: pymysql.Connection, rows: Sequence[ConversationCreate]) -> float:
    contents = [{**row.model_dump(mode="json"), "content_hash": content_hash(row.question, row.answer)} for row in rows]

    def write() -> None:
        with connection.cursor() as cursor:
            # Keep a batch in one statement: the driver would split it at 1 MB and report the first id of the last part.
            cursor.max_stmt_length = 16 * 1024 * 1024
            for start in range(0, len(contents), DEFAULT_BATCH_ROWS):
                now = datetime.now(UTC).replace(tzinfo=None)
                fixed = {"version": 1, "created_at": now, "updated_at": now}
                batch = [{**content, **fixed} for content in contents[start : start + DEFAULT_BATCH_ROWS]]
                _insert(cursor, "mental_health_conversations", batch)
                keys = range(cursor.lastrowid, cursor.lastrowid + len(batch))
                units = [unit._asdict() for unit in conversation_units(keys)]
                state = {"status": "pending", "attempts": 0, "queued_at": now}
                _insert(cursor, "index_states", [{**unit, **state} for unit in units])
                job = {"job": JOBS[0], "created_at": now}
                _insert(cursor, "index_outbox", [{**unit, **job} for unit in units])
                connection.commit()

    return len(rows) / timed(write)


def _insert(cursor: Cursor, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    values = ", ".join(f"%({name})s" for name in rows[0])
    # Only parameters: with other values among them, the driver would send one statement per row.
    cursor.executemany(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({values})", rows)  # noqa: S608 - constants


def _one_by_one(client: Client, rows: Sequence[ConversationCreate]) -> float:
    contents = [row.model_dump() for row in rows]
    return len(rows) / timed(lambda: [client.conversations.create(**content) for content in contents])
