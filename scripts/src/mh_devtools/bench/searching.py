"""Searches over HTTP, compared with calling their parts directly, with queries to a Chroma server, and with searches
that need a key.

Part of `growth`, which calls this at each size. The vectors in the index are the stub embedder's; the texts are the
data set's. Each query is used once, so that the platform answers none from a cache.
"""

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial

from mh_client import ConversationCreate
from mh_common.embeddings.local import LocalEmbedder
from mh_common.milvus import make_client
from mh_common.models import SearchMode
from mh_common.settings import MilvusSettings
from rag_api.search.filters import And
from rag_api.search.index import IndexQuery
from rag_api.search.milvus.index import MilvusIndex
from rag_api.search.selection import MIN_CANDIDATES

from mh_devtools import servers
from mh_devtools.bench import stub_embedder
from mh_devtools.bench.load import latencies, requests_per_second, send
from mh_devtools.bench.measuring import Bench, Figure, Side, at_least, at_most, differences, in_turn, ratios
from mh_devtools.bench.peers.chroma import Chroma
from mh_devtools.stack.server_stack import ServerStack

CLIENTS = (1, 16)
LIMIT = 10
WORDS = 25
BATCH = 5000
"""Rows per call of Chroma's client."""
VECTORS = 500
"""Query vectors for Chroma, used repeatedly: it does not cache results."""
COLLECTION = "conversations"
WARM_UP_S = 0.3
ACCESS_GOAL = 0.95
"""Minimum requests per second with access control, as a share of those without it."""
CONSISTENCY: str = MilvusSettings.model_fields["consistency"].default
"""Consistency level of both sides: the platform's default."""


class Queries:
    """Queries of about 25 words each, never the same twice."""

    def __init__(self, bench: Bench) -> None:
        self._texts = [" ".join(row.question.split()[:WORDS]) for row in bench.rows]
        self._numbers = itertools.count()

    def take(self, count: int) -> list[str]:
        """Return the next queries."""
        return [
            f"{self._texts[number % len(self._texts)]} {number}" for number in itertools.islice(self._numbers, count)
        ]


class Direct:
    """The indispensable parts of a search, called in this process: embed the query and search Milvus."""

    def __init__(self, milvus_uri: str) -> None:
        self._uri = milvus_uri
        self._embedder = LocalEmbedder()

    def latencies(self, queries: Queries, clients: int, seconds: float) -> list[float]:
        """Return the seconds of each search, with `clients` concurrent tasks that run one search after another."""
        return asyncio.run(self._run(queries, clients, seconds))

    async def _run(self, queries: Queries, clients: int, seconds: float) -> list[float]:
        client = make_client(self._uri, "", 10)
        model, dimension = self._embedder.model, self._embedder.dimension
        index = MilvusIndex(client, model=model, dimension=dimension, consistency=CONSISTENCY, timeout=10)
        await index.check()
        taken: list[float] = []
        deadline = time.perf_counter() + seconds

        async def ask() -> None:
            while (started := time.perf_counter()) < deadline:
                [text] = queries.take(1)
                [vector] = await self._embedder.embed([text])
                await index.search(IndexQuery(SearchMode.HYBRID, text, vector), MIN_CANDIDATES, And())
                taken.append(time.perf_counter() - started)

        await asyncio.gather(*(ask() for _ in range(clients)))
        await client.close()
        return taken


class Searching:
    """The compared sides, on one growing index. Chroma is left out if there is no server."""

    def __init__(self, bench: Bench, stack: ServerStack, free_port: int, chroma: Chroma | None) -> None:
        self._scale = bench.scale
        self._seconds = bench.scale.search_seconds
        self._queries = Queries(bench)
        self._stack = stack
        self._free_port = free_port
        self._chroma = chroma
        self._direct = Direct(stack.milvus_uri)

    def add_to_chroma(self, first: int, rows: Sequence[ConversationCreate]) -> None:
        """Add the vectors of these conversations' questions to Chroma; `first` is the number of the first one."""
        if self._chroma:
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                ids = range(first + start, first + start + len(some))
                self._chroma.add(COLLECTION, ids, stub_embedder.vectors([row.question for row in some]))

    def figures(self, size: int) -> Iterator[Figure]:
        """Measure at this size; both sides contain this many rows."""
        chroma_requests = self._chroma_requests()
        self._warm_up(chroma_requests)
        for clients in CLIENTS:
            name = f"search, {size:,} rows, {clients} {'client' if clients == 1 else 'clients'}"
            yield self._latency(name, clients)
            if self._chroma:
                yield self._throughput(name, clients, chroma_requests, self._chroma.port)

    def _warm_up(self, chroma_requests: Iterator[bytes]) -> None:
        for port in (self._stack.rag_port, self._free_port):
            latencies(self._requests(), port, max(CLIENTS), WARM_UP_S)
        self._direct.latencies(self._queries, max(CLIENTS), WARM_UP_S)
        if self._chroma:
            latencies(chroma_requests, self._chroma.port, max(CLIENTS), WARM_UP_S)

    def _latency(self, name: str, clients: int) -> Figure:
        seconds = self._seconds

        def ours() -> float:
            taken = latencies(self._requests(), self._stack.rag_port, clients, seconds)
            return 1000 * statistics.median(taken)

        def direct() -> float:
            return 1000 * statistics.median(self._direct.latencies(self._queries, clients, seconds))

        shown = in_turn({"over HTTP, ms": ours, "direct, ms": direct}, self._scale.rounds, warm=True)
        extra = differences(shown["over HTTP, ms"], shown["direct, ms"])
        note = "Median time, local model. Direct: as many tasks in one process, each one search at a time."
        return Figure(f"{name}: p50 - embed and Milvus called directly", "ms", at_most(6), extra, shown, note)

    def _throughput(self, name: str, clients: int, chroma_requests: Iterator[bytes], port: int) -> Figure:
        seconds = self._seconds
        sides: dict[str, Side] = {
            "platform, requests/s": lambda: requests_per_second(self._requests(), self._free_port, clients, seconds),
            "Chroma, requests/s": partial(requests_per_second, chroma_requests, port, clients, seconds),
        }
        shown = in_turn(sides, self._scale.rounds, warm=True)
        note = (
            "Neither side embeds. Chroma has one vector a row and answers with ids; the platform looks for two and for "
            "words, and confirms in MySQL what it shows."
        )
        return Figure(f"{name} / Chroma query", "times", at_least(1), ratios(*shown.values()), shown, note)

    def access_figures(self, size: int) -> Iterator[Figure]:
        """Measure searches with and without access control at this size, at both APIs."""
        stack, seconds = self._stack, self._seconds
        api_port, rag_port, key = servers.free_port(), servers.free_port(), stack.add_key("bench")
        environment = stack.with_accounts | {"CONVERSATIONS_URL": f"http://127.0.0.1:{api_port}"}
        conversations, factory = "conversations-api with accounts", "conversations_api.main:create_app"
        rag = "rag-api with accounts"
        with (
            stack.serving(conversations, factory, api_port, "/readyz", **environment),
            stack.serving(rag, stub_embedder.RAG_APP, rag_port, "/readyz", **environment),
        ):
            latencies(self._requests(key), rag_port, max(CLIENTS), WARM_UP_S)
            for clients in CLIENTS:
                sides = {
                    "with accounts, requests/s": partial(
                        requests_per_second, self._requests(key), rag_port, clients, seconds
                    ),
                    "open, requests/s": partial(
                        requests_per_second, self._requests(), self._free_port, clients, seconds
                    ),
                }
                shown = in_turn(sides, self._scale.rounds, warm=True)
                name = f"search, {size:,} rows, {clients} {'client' if clients == 1 else 'clients'}"
                yield Figure(
                    f"{name}, AUTH_MODE=required / open",
                    "times",
                    at_least(ACCESS_GOAL),
                    ratios(*shown.values()),
                    shown,
                    "Neither side embeds.",
                )

    def _chroma_requests(self) -> Iterator[bytes]:
        if self._chroma is None:
            return iter(())
        return itertools.cycle(
            self._chroma.queries(COLLECTION, stub_embedder.vectors(self._queries.take(VECTORS)), LIMIT)
        )

    def _requests(self, key: str | None = None) -> Iterator[bytes]:
        while True:
            [text] = self._queries.take(1)
            yield send("POST", "/api/v1/search", json.dumps({"query": text, "limit": LIMIT}), key)
