"""A soak test: a hundred concurrent users read, search, ask and write for ten minutes.

Each user has connections of their own, sends a request, checks the response, pauses for two seconds on average and
continues. The platform is complete: both APIs as deployed, a worker with the local model, and a stub language model
that responds immediately. Measured are errors, latencies, and the growth of each process.
"""

import asyncio
import json
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import psutil
from mh_client import Client, ConversationCreate, Sentiment

from mh_devtools import servers
from mh_devtools.bench.data import wait_until_indexed
from mh_devtools.bench.load import Connection, get, send
from mh_devtools.bench.measuring import Bench, Figure, at_most, percentile
from mh_devtools.bench.stubs import language_model
from mh_devtools.bench.texts import variants
from mh_devtools.stack.server_stack import ServerStack

CLIENTS = 100
THINK_S = 2.0
"""Mean pause before each request; exponentially distributed, so that clients do not synchronise."""
SEED = 1
ROWS = 200
"""Conversations at the start; few, as the local model is slow."""
CACHE_SIZE = "500"
"""Queries whose vectors rag-api caches. In ten minutes new queries would fill the default of 10,000 with 20 MB, which
would hide other growth."""
SAMPLES = 500
"""Total number of memory samples."""
CONVERSATIONS = "/api/v1/conversations"

WEIGHTS = {
    "GET one": 30,
    "GET a page": 20,
    "search": 25,
    "similar": 5,
    "answer": 5,
    "PATCH": 5,
    "POST, then DELETE": 5,
    "statistics": 5,
}


@dataclass
class Observations:
    """Observations: (seconds since the start, duration in seconds) by kind, errors, and memory."""

    took: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    memory: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    """(seconds since the start, bytes), by process."""


class Person:
    """One user, with a connection to each API."""

    def __init__(
        self, number: int, ports: tuple[int, int], ids: Sequence[int], rows: Sequence[ConversationCreate]
    ) -> None:
        self._random = random.Random(SEED + number)
        self._api, self._rag = (Connection(port) for port in ports)
        self._ids = ids
        self._rows = rows
        # Changed by this user only, so that users do not wait for each other's locks.
        self._own = ids[number::CLIENTS]
        self._kinds: Mapping[str, Callable[[], Awaitable[None]]] = {
            "GET one": self._read,
            "GET a page": self._browse,
            "search": self._search,
            "similar": self._similar,
            "answer": self._ask,
            "PATCH": self._change,
            "POST, then DELETE": self._add_and_delete,
            "statistics": self._count,
        }

    async def work(self, seen: Observations, started: float, seconds: float) -> None:
        """Send one request after another for `seconds`."""
        kinds = list(WEIGHTS)
        while True:
            await asyncio.sleep(self._random.expovariate(1 / THINK_S))
            begun = time.perf_counter()
            if begun - started > seconds:
                break
            [kind] = self._random.choices(kinds, list(WEIGHTS.values()))
            try:
                await self._kinds[kind]()
            except (OSError, EOFError, ValueError, RuntimeError) as error:
                seen.errors.append(f"{kind}: {type(error).__name__}: {error}")
            seen.took[kind].append((begun - started, time.perf_counter() - begun))
        await self._api.close()
        await self._rag.close()

    async def _read(self) -> None:
        key = self._random.choice(self._ids)
        _expect(json.loads(await self._api.ask(get(f"{CONVERSATIONS}/{key}")))["id"] == key)

    async def _browse(self) -> None:
        sentiment = self._random.choice(list(Sentiment))
        page = json.loads(await self._api.ask(get(f"{CONVERSATIONS}?limit=50&answer_sentiment={sentiment}")))
        _expect(all(item["answer_sentiment"] == sentiment for item in page["items"]))

    async def _search(self) -> None:
        body = {"query": self._text(12), "limit": 10, "plain_query": True}
        found = json.loads(await self._rag.ask(send("POST", "/api/v1/search", json.dumps(body))))
        _expect(len(found["hits"]) > 0)

    async def _similar(self) -> None:
        await self._rag.ask(get(f"{CONVERSATIONS}/{self._random.choice(self._ids)}/similar"))

    async def _ask(self) -> None:
        question = {"question": self._text(20)}
        _expect(json.loads(await self._rag.ask(send("POST", "/api/v1/answers", json.dumps(question))))["answer"] != "")

    async def _change(self) -> None:
        key, sentiment = self._random.choice(self._own), self._random.choice(list(Sentiment))
        body = json.dumps({"question_sentiment": sentiment})
        changed = json.loads(await self._api.ask(send("PATCH", f"{CONVERSATIONS}/{key}", body)))
        _expect(changed["question_sentiment"] == sentiment)

    async def _add_and_delete(self) -> None:
        row = self._random.choice(self._rows)
        new = row.model_copy(update={"question": f"{row.question} ({self._random.random()})"})
        added = json.loads(await self._api.ask(send("POST", CONVERSATIONS, new.model_dump_json())))
        await self._api.ask(send("DELETE", f"{CONVERSATIONS}/{added['id']}", ""))

    async def _count(self) -> None:
        _expect(json.loads(await self._api.ask(get(f"{CONVERSATIONS}/stats")))["total"] >= len(self._ids))

    def _text(self, words: int) -> str:
        # The number makes it a text that was not embedded before.
        question = " ".join(self._random.choice(self._rows).question.split()[:words])
        return f"{question} {self._random.randrange(10**9)}"


def _expect(correct: bool) -> None:
    if not correct:
        raise ValueError("the response is not the expected one")


def measure(bench: Bench) -> Iterator[Figure]:
    """Run the soak test and yield its figures."""
    rows = variants(bench.rows, 0, ROWS)
    with (
        language_model(bench.folder) as model,
        ServerStack(bench.folder, durable=True, deployed=True, EMBEDDING_CACHE_SIZE=CACHE_SIZE, **model) as stack,
        Client(stack.api_url, timeout=60) as client,
        stack.worker() as worker,
    ):
        ids = client.conversations.bulk_create(rows)
        wait_until_indexed(client)
        seen = asyncio.run(_soak(stack, worker, ids, rows, bench.scale.soak_seconds))
        wait_until_indexed(client)
    yield from _figures(seen, bench.scale.soak_seconds)


async def _soak(
    stack: ServerStack, worker: servers.Running, ids: Sequence[int], rows: Sequence[ConversationCreate], seconds: float
) -> Observations:
    seen, started = Observations(), time.perf_counter()
    watch = asyncio.create_task(_watch(seen, {**stack.running, "worker": worker}, started, seconds / SAMPLES))
    ports = (stack.api_port, stack.rag_port)
    people = [Person(number, ports, ids, rows) for number in range(CLIENTS)]
    try:
        await asyncio.gather(*(person.work(seen, started, seconds) for person in people))
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
    return seen


async def _watch(seen: Observations, processes: Mapping[str, servers.Running], started: float, pause: float) -> None:
    """Record the memory of every process at intervals."""
    while True:
        for name, server in processes.items():
            family = [process := psutil.Process(server.process.pid), *process.children(recursive=True)]
            with suppress(psutil.NoSuchProcess):
                size = sum(one.memory_info().rss for one in family)
                seen.memory[name].append((time.perf_counter() - started, size))
        await asyncio.sleep(pause)


def _figures(seen: Observations, seconds: float) -> Iterator[Figure]:
    took = [one for kind in seen.took.values() for _, one in kind]
    tenths = partial(by_tenth, seconds=seconds)
    name = f"{CLIENTS} clients"
    note = f"{len(took):,} requests in {seconds / 60:.3g} minutes. " + "; ".join(sorted(set(seen.errors))[:3])
    yield Figure(f"{name}: requests that failed", "", at_most(0), [len(seen.errors)], note=note.strip())
    everything = [pair for times in seen.took.values() for pair in times]
    for what, share, goal in (("99th percentile", 0.99, at_most(500)), ("median", 0.5, None)):
        shown = {
            f"{kind}, ms": [1000 * percentile([one for _, one in times], share)] for kind, times in seen.took.items()
        }
        by_time = [1000 * percentile(tenth, share) for tenth in tenths(everything) if tenth]
        shown |= {"by tenths of the time, ms": by_time}
        yield Figure(f"{name}: {what}", "ms", goal, [1000 * percentile(took, share)], shown)
    for process, sizes in seen.memory.items():
        parts = tenths(sizes)
        third, last = (statistics.fmean(parts[place]) for place in (2, 9))
        shown = {"MB, third tenth and last": [third / 1e6, last / 1e6]}
        yield Figure(f"{name}: memory of {process}, last tenth / third", "times", at_most(1.05), [last / third], shown)


def by_tenth(values: Sequence[tuple[float, float]], seconds: float) -> list[list[float]]:
    """Group values by the tenth of the time in which they were observed."""
    tenths: list[list[float]] = [[] for _ in range(10)]
    for at, value in values:
        tenths[min(9, int(10 * at / seconds))].append(value)
    return tenths
