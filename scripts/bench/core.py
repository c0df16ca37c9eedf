"""Measure what the README states of the core: `make bench`.

Every figure is a ratio or a difference of two things done in turn in one run (A B A B), since machines differ and are
shared. MH_BENCH_DATASET names the CSV file to use; without it, a train.csv in a data folder beside the checkout, else
the sample. Prints a table; `--json FILE` writes the figures with machine and versions.
"""

import argparse
import asyncio
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx
import servers
from bench.load import requests_per_second
from mh_client import AsyncClient, Client, ConversationCreate, IndexStatus
from mh_client.importing import ImportOptions, import_file
from mh_common import vector_index
from mh_common.embeddings.local import LocalEmbedder
from mh_common.models import SearchMode
from mh_common.testing.openai_stub import StubOpenAI
from pymilvus import MilvusClient
from rag_api.search.conditions import Every
from rag_api.search.gathering import LEAST_CANDIDATES
from rag_api.search.index import IndexQuery
from rag_api.search.repository import MilvusIndex, make_client
from server_stack import ROOT, ServerStack

ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """One line of the table. `value` is the median of the rounds; `low` and `high` are their extremes."""

    name: str
    goal: str
    value: float
    low: float
    high: float
    unit: str


def figure(name: str, goal: str, values: list[float], unit: str) -> Figure:
    """Summarise the rounds' values."""
    return Figure(name, goal, statistics.median(values), min(values), max(values), unit)


def dataset() -> Path:
    """Return the CSV file to measure with."""
    beside = sorted(ROOT.parent.glob("*/data/train.csv"))
    return Path(os.environ.get("MH_BENCH_DATASET") or (beside or [ROOT / "scripts/sample/conversations.csv"])[0])


def read_rows(path: Path) -> list[ConversationCreate]:
    """Return the file's conversations."""
    fields = ConversationCreate.model_fields
    with path.open(encoding="utf-8", newline="") as file:
        return [ConversationCreate(**{name: row[name] for name in fields}) for row in csv.DictReader(file)]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def empty(client: Client) -> None:
    """Delete every conversation."""
    while ids := [row.id for row in client.conversations.list(limit=200).items]:
        client.conversations.bulk_delete(ids)


def wait_until_indexed(client: Client) -> None:
    """Return when no conversation waits for the index."""
    # Seldom, since counting takes processor time from what is measured.
    while client.conversations.stats().index_status[IndexStatus.PENDING]:
        time.sleep(0.2)


def measure_import(client: Client, path: Path, rows: list[ConversationCreate]) -> Figure:
    """Rows a second of the importer over rows a second of one POST per row in sequence; no worker runs."""
    ratios = []
    some = rows[:200]
    for _ in range(ROUNDS):
        empty(client)
        importer = len(rows) / timed(lambda: asyncio.run(import_whole(client.base_url, path)))
        naive = len(some) / timed(lambda: [client.conversations.create(**row.model_dump()) for row in some])
        ratios.append(importer / naive)
    return figure("CSV import through the client / one POST per row in sequence", ">= 10", ratios, "times")


async def import_whole(url: str, path: Path) -> None:
    """Import the file as `mh import` does, as if for the first time."""
    with tempfile.TemporaryDirectory() as state:
        async with AsyncClient(url) as client:
            await import_file(client, path, ImportOptions(state_dir=Path(state)))


def measure_indexing(stack: ServerStack, client: Client, rows: list[ConversationCreate]) -> Figure:
    """Seconds from worker ready to everything indexed, over the embedder's own seconds for the distinct texts."""
    questions = (row.question for row in rows)
    whole = (vector_index.embedded_text(row.question, row.answer) for row in rows)
    distinct = list(dict.fromkeys([*questions, *whole]))
    ratios = []
    for _ in range(3):
        empty(client)
        with stack.worker():
            # One conversation first: it shows that the worker is up and its model loaded.
            client.conversations.create(**rows[0].model_dump())
            wait_until_indexed(client)
            alone = asyncio.run(embed_alone(distinct))
            started = time.perf_counter()
            for first in range(0, len(rows), 500):
                client.conversations.bulk_create(rows[first : first + 500])
            wait_until_indexed(client)
            ratios.append((time.perf_counter() - started) / alone)
    goal = "<= 1.2"
    return figure("commit to all indexed / the embedder alone on the distinct texts", goal, ratios, "times")


async def embed_alone(texts: list[str]) -> float:
    """Return the embedder's own seconds for these texts, 64 at a time, as a job brings them."""
    embedder = LocalEmbedder()
    await embedder.embed(["warm up"])
    started = time.perf_counter()
    for first in range(0, len(texts), 64):
        await embedder.embed(texts[first : first + 64])
    elapsed = time.perf_counter() - started
    await embedder.close()
    return elapsed


def measure_freshness(stack: ServerStack, client: Client, rows: list[ConversationCreate]) -> Figure:
    """Seconds from the answer of a POST until a Strong read of the index shows the row."""
    waits = []
    milvus = MilvusClient(stack.milvus_uri)
    with stack.worker():
        client.conversations.create(**rows[0].model_dump())
        wait_until_indexed(client)
        for row in rows[:60]:
            created = client.conversations.create(**row.model_dump())
            started = time.perf_counter()
            while not milvus.query(
                vector_index.COLLECTION, ids=[created.id], output_fields=["version"], consistency_level="Strong"
            ):
                time.sleep(0.005)
            waits.append(time.perf_counter() - started)
    milvus.close()
    name = "commit to searchable, one row: p95 (in brackets: median, longest)"
    return Figure(name, "<= 1", percentile(waits, 0.95), statistics.median(waits), max(waits), "s")


def measure_get(stack: ServerStack, client: Client, name: str, factory: str) -> Figure:
    """Requests a second of `GET /{id}` over those of a bare handler with the same query, 16 clients."""
    ids = [row.id for row in client.conversations.list(limit=200).items]
    bare_port = servers.free_port()
    stack.serve(f"bare-{name}", f"bench.bare_api:{factory}", bare_port, f"/{ids[0]}")
    ratios = []
    for _ in range(ROUNDS):
        ours = requests_per_second(stack.api_port, [f"/api/v1/conversations/{i}" for i in ids], 16, 3)
        bare = requests_per_second(bare_port, [f"/{i}" for i in ids], 16, 3)
        ratios.append(ours / bare)
    return figure(f"GET /{{id}} / bare FastAPI handler over {name}, requests a second", ">= 0.6", ratios, "times")


async def ask_directly(stack: ServerStack, stub: StubOpenAI, embedder: LocalEmbedder, question: str) -> float:
    """Return the seconds of the three parts that an answer cannot do without: embed, search, complete."""
    messages = {"model": "stub", "messages": [{"role": "user", "content": question}]}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {stub.api_key}"}) as http:
        milvus = make_client(stack.milvus_uri, "", 10)
        index = MilvusIndex(
            milvus, model=embedder.model, dimension=embedder.dimension, consistency="Strong", timeout=10
        )
        await http.get(f"{stub.base_url}/models")
        await index.check()
        started = time.perf_counter()
        [vector] = await embedder.embed([question])
        await index.search(IndexQuery(SearchMode.HYBRID, question, vector), LEAST_CANDIDATES, Every())
        (await http.post(f"{stub.base_url}/chat/completions", json=messages)).raise_for_status()
        elapsed = time.perf_counter() - started
        await milvus.close()
    return elapsed


def measure_answer(stack: ServerStack, stub: StubOpenAI, rows: list[ConversationCreate]) -> Figure:
    """Median milliseconds of an answer less the median of its three parts called directly; a new question each time."""
    questions = list({" ".join(row.question.split()[:25]) for row in rows})
    extra = []
    with Client(stack.rag_url) as rag, asyncio.Runner() as runner:
        embedder = LocalEmbedder()
        for chosen in (questions[first : first + 30] for first in range(0, min(len(questions), 30 * ROUNDS), 30)):
            through, direct = [], []
            for number, question in enumerate(chosen):
                through.append(timed(partial(rag.answer, question)))
                direct.append(runner.run(ask_directly(stack, stub, embedder, f"{question} {number}")))
            extra.append((statistics.median(through) - statistics.median(direct)) * 1000)
        runner.run(embedder.close())
    return figure("answer less embed, search and LLM called directly, median", "<= 15", extra, "ms")


def measure(folder: Path, path: Path) -> list[Figure]:
    """Run all measurements on one stack."""
    rows = read_rows(path)
    with (
        StubOpenAI.running() as stub,
        ServerStack(folder, durable=True, OPENAI_API_KEY=stub.api_key, OPENAI_BASE_URL=stub.base_url) as stack,
        Client(stack.api_url, timeout=60) as client,
    ):
        # The import comes last: it runs without a worker, and so leaves a queue behind.
        work = (
            partial(measure_indexing, stack, client, rows),
            partial(measure_freshness, stack, client, rows),
            partial(measure_answer, stack, stub, rows),
            partial(measure_get, stack, client, "raw aiomysql", "create_app"),
            partial(measure_get, stack, client, "SQLAlchemy", "create_sqlalchemy_app"),
            partial(measure_import, client, path, rows),
        )
        figures = []
        for one in work:
            figures.append(one())
            print(table(figures[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
        return figures


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| figure | goal | measured (extremes) |", "|---|---|---|"]
    for line in figures:
        measured = f"{line.value:.2f} {line.unit} ({line.low:.2f} to {line.high:.2f})"
        lines.append(f"| {line.name} | {line.goal} {line.unit} | {measured} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), dataset())
    print(table(figures))
    if arguments.json:
        machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        document = {"machine": machine, "commit": commit, "figures": [asdict(line) for line in figures]}
        arguments.json.write_text(json.dumps(document, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
