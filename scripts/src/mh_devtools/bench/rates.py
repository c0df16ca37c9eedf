"""Measures the rates that docs/scaling.md computes with: `make rates`.

Each rate consists of the items per second, and the processor time per item of each process, which is valid even on a
shared machine. Milvus is Milvus Lite here; a server behaves differently. Writes docs/scaling-rates.json, from which
`bench.sizing` makes the tables.
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psutil
from mh_client import Client, ConversationCreate
from redis import Redis

from mh_devtools import servers
from mh_devtools.bench.data import dataset, import_whole, read_rows
from mh_devtools.bench.load import answered, get, send
from mh_devtools.bench.stubs import embeddings
from mh_devtools.bench.texts import TextFigures, measure_texts, variants, write_rows
from mh_devtools.paths import ROOT
from mh_devtools.stack.server_stack import ServerStack

ROWS = 20_000
SLICE = 5_000
LOCAL_ROWS = 400
"""Rows for the local model, which is slow; their questions are new to it."""
CLIENTS = 16
SECONDS = 8.0
ROUNDS = 3
POLL_S = 0.1
"""The relay's poll interval: outbox rows are inserted with SQL here, which does not wake it."""
OUTPUT = ROOT / "docs" / "scaling-rates.json"


@dataclass(frozen=True)
class Rate:
    """One activity: items per second (median and extremes), and milliseconds of processor time per item, by process."""

    per_second: float
    low: float
    high: float
    cpu_ms: dict[str, float]


def processor_seconds(processes: Mapping[str, servers.Running]) -> dict[str, float]:
    """Return the processor time used so far by each of the processes and its children, in seconds."""
    taken = {}
    for name, server in processes.items():
        family = [process := psutil.Process(server.process.pid), *process.children(recursive=True)]
        # User and system time, including children that have ended.
        taken[name] = sum(sum(one.cpu_times()[:4]) for one in family)
    return taken


def measure(processes: Mapping[str, servers.Running], rounds: Sequence[Callable[[], int]]) -> Rate:
    """Run and measure the rounds; each returns how many items it processed."""
    rates, items, before = [], 0, processor_seconds(processes)
    for work in rounds:
        started = time.perf_counter()
        done = work()
        rates.append(done / (time.perf_counter() - started))
        items += done
    after = processor_seconds(processes)
    cpu = {name: 1000 * (after[name] - before[name]) / items for name in processes}
    # Less than this is what an idle process uses.
    return Rate(statistics.median(rates), min(rates), max(rates), {name: ms for name, ms in cpu.items() if ms >= 0.01})


class Queue:
    """The path of the jobs, outbox and queue, accessed from outside."""

    def __init__(self, stack: ServerStack) -> None:
        self._stack = stack
        self._redis = Redis.from_url(stack.env["REDIS_URL"])

    def add_jobs(self, first: int, count: int) -> int:
        """Write outbox rows for conversations that exist; return how many."""
        with self._stack.connect_to_mysql(self._stack.database) as connection:
            written: int = connection.cursor().execute(
                "INSERT INTO index_outbox (kind, source_id, ordinal, job, created_at) "
                "SELECT 'conversation', id, 0, %s, UTC_TIMESTAMP(6) "
                "FROM mental_health_conversations WHERE id > (SELECT min(id) FROM mental_health_conversations) + %s "
                "ORDER BY id LIMIT %s",
                ("UpdatedMentalHealthConversationJob", first, count),
            )
            connection.commit()
        return written

    def wait_for_relay(self) -> None:
        """Wait until the outbox is empty."""
        with self._stack.connect_to_mysql(self._stack.database) as connection:
            connection.autocommit(True)
            cursor = connection.cursor()
            while cursor.execute("SELECT 1 FROM index_outbox LIMIT 1"):
                time.sleep(0.05)

    def wait_for_worker(self) -> None:
        """Wait until no job is waiting or running."""
        self.wait_for_relay()
        while self._redis.llen("index") or self._redis.hlen("unacked"):
            time.sleep(0.05)

    def clear(self) -> None:
        """Delete the waiting jobs."""
        self._redis.delete("index")

    def relay(self, first: int, count: int) -> int:
        """Let the relay publish this many outbox rows."""
        added = self.add_jobs(first, count)
        self.wait_for_relay()
        return added

    def work(self, first: int, count: int) -> int:
        """Let the worker index this many conversations."""
        added = self.add_jobs(first, count)
        self.wait_for_worker()
        return added


def measure_searches(stack: ServerStack, rows: list[ConversationCreate]) -> Rate:
    """Measure searches with queries of 25 words, each used once."""
    queries = (" ".join(row.question.split()[:25]) + f" {number}" for number, row in enumerate(itertools.cycle(rows)))
    requests = (send("POST", "/api/v1/search", json.dumps({"query": query, "limit": 10})) for query in queries)
    return measure(stack.running, [partial(answered, requests, stack.rag_port, CLIENTS, SECONDS)] * ROUNDS)


def measure_reads(stack: ServerStack, client: Client) -> Rate:
    """Measure GETs of single conversations."""
    ids = [row.id for row in client.conversations.list(limit=200).items]
    requests = itertools.cycle(get(f"/api/v1/conversations/{key}") for key in ids)
    return measure(stack.running, [partial(answered, requests, stack.api_port, CLIENTS, SECONDS)] * ROUNDS)


def database_bytes(stack: ServerStack, folder: Path) -> dict[str, float]:
    """Return the bytes per row of each table with permanent rows, including indexes, and of the full-text index."""

    def full_text() -> int:
        files = (folder / "mysql" / "data" / stack.database).glob("*.ibd")
        return sum(file.stat().st_size for file in files if file.name.startswith("FTS_"))

    with stack.connect_to_mysql(stack.database) as connection:
        cursor = connection.cursor()
        found: dict[str, float] = {}
        for name in ("mental_health_conversations", "index_states"):
            cursor.execute(f"ANALYZE TABLE {name}")
            cursor.execute(
                "SELECT data_length + index_length FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_name = %s",
                (name,),
            )
            row = cursor.fetchone()
            found[name] = float(row[0]) if row else 0.0
        found["full-text index as it grew"] = full_text()
        # Rebuilds the table and this index.
        cursor.execute("OPTIMIZE TABLE mental_health_conversations")
        found["full-text index after OPTIMIZE TABLE"] = full_text()
    return {name: size / ROWS for name, size in found.items()}


def measure_platform(
    folder: Path, files: list[Path], rows: list[ConversationCreate]
) -> tuple[dict[str, Rate], dict[str, float]]:
    """Measure with a stub embedder; return the rates and the bytes per row in the database."""
    rates = {}
    with (
        embeddings(folder, 384) as embedding,
        ServerStack(folder, durable=True, RELAY_POLL_INTERVAL=str(POLL_S), **embedding) as stack,
        Client(stack.api_url, timeout=60) as client,
    ):
        queue = Queue(stack)

        def import_file(file: Path) -> int:
            asyncio.run(import_whole(stack.api_url, file))
            return SLICE

        rates["import"] = measure(stack.running, [partial(import_file, file) for file in files])
        queue.wait_for_relay()
        rates["relay"] = measure(stack.running, [partial(queue.relay, n * SLICE, SLICE) for n in range(ROUNDS)])
        queue.clear()
        with stack.worker() as worker:
            # A first round, so that the worker is running and its collection exists.
            queue.work(0, 64)
            rounds = [partial(queue.work, number * SLICE, SLICE) for number in range(len(files))]
            rates["index"] = measure({**stack.running, "worker": worker}, rounds)
        rates["search"] = measure_searches(stack, rows)
        rates["read"] = measure_reads(stack, client)
        return rates, database_bytes(stack, folder)


def measure_local_model(folder: Path, rows: list[ConversationCreate]) -> dict[str, Rate]:
    """Measure indexing and searching with the local model, on few rows."""
    rates = {}
    with (
        ServerStack(folder, durable=True, RELAY_POLL_INTERVAL=str(POLL_S)) as stack,
        Client(stack.api_url, timeout=60) as client,
    ):
        queue = Queue(stack)
        # Spread over the whole data set.
        client.conversations.bulk_create(rows[:: len(rows) // LOCAL_ROWS // ROUNDS][:1000])
        queue.wait_for_relay()
        queue.clear()
        with stack.worker() as worker:
            queue.work(0, 8)
            rounds = [partial(queue.work, 10 + number * LOCAL_ROWS, LOCAL_ROWS) for number in range(2)]
            rates["index, local model"] = measure({**stack.running, "worker": worker}, rounds)
        rates["search, local model"] = measure_searches(stack, rows)
    return rates


def document(rates: dict[str, Rate], row_bytes: dict[str, float], texts: TextFigures, elapsed: float) -> str:
    """Return the content of the file."""
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    rounded = {
        name: {
            **{key: round(value, 1) for key, value in asdict(rate).items() if key != "cpu_ms"},
            "cpu_ms": {part: round(ms, 3) for part, ms in rate.cpu_ms.items()},
        }
        for name, rate in rates.items()
    }
    content = {
        "machine": machine,
        "minutes": round(elapsed / 60, 1),
        "rows": ROWS,
        "rates": rounded,
        "database_bytes_per_row": {name: round(size) for name, size in row_bytes.items()},
        "texts": {name: round(value, 1) for name, value in asdict(texts).items()},
    }
    return json.dumps(content, indent=2) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = read_rows(dataset())
        rows = variants(data, 0, ROWS)
        files = [folder / f"rows{first}.csv" for first in range(0, ROWS, SLICE)]
        for number, file in enumerate(files):
            write_rows(rows[number * SLICE : (number + 1) * SLICE], file)
        texts = measure_texts(data)
        started = time.perf_counter()
        rates, row_bytes = measure_platform(folder / "platform", files, rows)
        rates |= measure_local_model(folder / "local", rows)
        elapsed = time.perf_counter() - started
        arguments.output.write_text(document(rates, row_bytes, texts, elapsed), encoding="utf-8")


if __name__ == "__main__":
    main()
