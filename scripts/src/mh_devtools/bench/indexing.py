"""Indexing through outbox, queue and worker, compared with sending the same rows directly to Milvus and to Chroma.

Rows are first written by bulk requests, which `importing` measures; here the time is from the commit of their outbox
rows until the API has the report of the last one. Every round has rows that are new to the index, the other stores and
the worker's cache.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from indexer_worker.vector_store.collection import INDEXES, collection_schema
from indexer_worker.vector_store.layout import Row
from indexer_worker.vector_store.rows import vector_row
from mh_client import Client, Conversation, ConversationCreate
from mh_common.batches import batched
from mh_common.embeddings.local import LocalEmbedder
from mh_common.embeddings.protocol import Embedder
from mh_common.jobs import INDEX_QUEUE, IndexJob
from mh_common.vector_index import COLLECTION, embedded_text
from pymilvus import MilvusClient
from redis import Redis

from mh_devtools.bench import stub_embedder
from mh_devtools.bench.data import add
from mh_devtools.bench.freshness import WRITES_PER_S, Fresh, Probe, freshness, writes
from mh_devtools.bench.measuring import Bench, Figure, Side, at_least, at_most, in_turn, ratios, timed
from mh_devtools.bench.peers.chroma import Chroma
from mh_devtools.bench.texts import numbered
from mh_devtools.stack.server_stack import ServerStack

WARM_UP = 64
"""Conversations that are indexed before measuring, so that the worker is running and its collection exists."""
BATCH = 1000
"""Rows per direct upsert."""
POLL_S = "0.05"
"""The relay's poll interval: outbox rows are inserted with SQL here, which does not wake it."""
TIMEOUT = 60.0
"""Seconds that one round of indexing may take; a normal one takes a fraction."""
ALONE = "milvus_alone"
PLATFORM, MILVUS, CHROMA, EMBEDDER = "platform", "Milvus alone", "Chroma", "embedder alone"


class UnindexedRows:
    """Conversations that are in the database but not in the index, without queued jobs."""

    def __init__(self, stack: ServerStack, client: Client, rows: Sequence[ConversationCreate]) -> None:
        self._stack = stack
        redis = Redis.from_url(stack.env["REDIS_URL"])
        self.ids = add(client, rows)
        self._wait_for("SELECT 1 FROM index_outbox LIMIT 1")
        redis.delete(INDEX_QUEUE)
        redis.close()

    def index(self, ids: Sequence[int]) -> float:
        """Index these conversations; return the seconds from the commit of their jobs until the last report."""
        among = f"BETWEEN {min(ids):d} AND {max(ids):d}"
        mine = f"kind = 'conversation' AND source_id {among}"
        with self._stack.connect_to_mysql(self._stack.database) as connection:
            cursor = connection.cursor()
            # Half of them as updates, which is the same for the worker. As a message contains one kind of job, even a
            # few rows are split into work for both processes.
            cursor.execute(
                "INSERT INTO index_outbox (kind, source_id, ordinal, job, created_at) "  # noqa: S608
                f"SELECT 'conversation', id, 0, IF(id < %s, %s, %s), UTC_TIMESTAMP(6) "
                f"FROM mental_health_conversations WHERE id {among} ORDER BY id",
                (ids[len(ids) // 2], IndexJob.CREATED.value, IndexJob.UPDATED.value),
            )
            started = datetime.now(UTC).replace(tzinfo=None)
            connection.commit()
            self._wait_for(f"SELECT 1 FROM index_states WHERE {mine} AND status = 'pending' LIMIT 1")  # noqa: S608
            # Begin a new transaction, which sees what was committed in the meantime.
            connection.commit()
            cursor.execute(f"SELECT max(indexed_at) FROM index_states WHERE {mine}")  # noqa: S608
            (ended,) = cursor.fetchone() or (None,)
        assert isinstance(ended, datetime)
        return (ended - started).total_seconds()

    def _wait_for(self, absence: str) -> None:
        with self._stack.connect_to_mysql(self._stack.database) as connection:
            connection.autocommit(True)
            # The end is read from the times stored by the API: polling more often would only slow down the measurement.
            deadline = time.monotonic() + TIMEOUT
            while connection.cursor().execute(absence):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"After {TIMEOUT:.0f} s there are still rows: {absence}")
                time.sleep(0.05)


class DirectCollection:
    """A collection with the worker's schema that is filled directly."""

    def __init__(self, uri: str) -> None:
        self._client = MilvusClient(uri)
        self._client.create_collection(ALONE, schema=collection_schema(stub_embedder.MODEL, stub_embedder.DIMENSION))
        for field, kind, metric in INDEXES:
            self._client.create_index(
                ALONE, self._client.prepare_index_params(field, index_type=kind, metric_type=metric)
            )
        self._client.load_collection(ALONE)

    def upsert(self, rows: Sequence[Row]) -> None:
        """Write these rows."""
        for batch in batched(rows, BATCH):
            self._client.upsert(ALONE, list(batch))

    def close(self) -> None:
        """Drop this collection and the worker's, so that another embedder can create its own."""
        for name in (ALONE, COLLECTION):
            self._client.drop_collection(name)
        self._client.close()


def as_rows(conversations: Sequence[Conversation]) -> list[Row]:
    """Return the index rows of these conversations, with the stub embedder's vectors."""
    questions = stub_embedder.vectors([row.question for row in conversations])
    texts = stub_embedder.vectors([embedded_text(row.question, row.answer) for row in conversations])
    return [vector_row(*one) for one in zip(conversations, questions, texts, strict=True)]


def slices(size: int) -> Iterator[slice]:
    """Yield each round's rows, after those of the warm-up."""
    for first in itertools.count(WARM_UP, size):
        yield slice(first, first + size)


@contextmanager
def free_sides(stack: ServerStack, client: Client, bench: Bench, fresh: Fresh) -> Iterator[Mapping[str, Side]]:
    """Yield the sides that index with the stub embedder; each call takes new rows."""
    size, rounds = bench.scale.index_rows, bench.scale.rounds
    unindexed = UnindexedRows(stack, client, list(islice(fresh, WARM_UP + (rounds + 1) * size)))
    conversations = sorted(client.conversations.iterate(limit=200), key=lambda row: row.id)
    alone = DirectCollection(stack.milvus_uri)
    parts = {side: slices(size) for side in (PLATFORM, MILVUS, CHROMA)}

    def platform() -> float:
        return size / unindexed.index(unindexed.ids[next(parts[PLATFORM])])

    def milvus() -> float:
        rows = as_rows(conversations[next(parts[MILVUS])])
        return size / timed(partial(alone.upsert, rows))

    def add() -> float:
        part = conversations[next(parts[CHROMA])]
        documents = [embedded_text(row.question, row.answer) for row in part]
        metadatas = [{"question_sentiment": row.question_sentiment.value, "version": row.version} for row in part]
        ids = [row.id for row in part]
        return size / chroma.add("conversations", ids, stub_embedder.vectors(documents), documents, metadatas)

    with stack.worker(app=stub_embedder.CELERY_APP), Chroma(bench.folder / "chroma") as chroma:
        unindexed.index(unindexed.ids[:WARM_UP])
        yield {PLATFORM: platform, MILVUS: milvus, CHROMA: add}
    alone.close()


def throughput(sides: Mapping[str, Side], bench: Bench) -> Iterator[Figure]:
    """Measure with the stub embedder, which costs almost nothing."""
    rates = in_turn(sides, bench.scale.rounds)
    note = "The platform and Milvus alone write two vectors, two texts and their words; Chroma one vector and its text."
    for side, goal in ((MILVUS, 0.5), (CHROMA, 2)):
        shown = {f"{one}, rows/s": rates[one] for one in (PLATFORM, side)}
        ratio = ratios(rates[PLATFORM], rates[side])
        yield Figure(f"indexing, free embedder / {side}", "times", at_least(goal), ratio, shown, note)


def with_model(
    unindexed: UnindexedRows, embedder: Embedder, rows: Sequence[ConversationCreate], bench: Bench
) -> Figure:
    """Measure with the local model, compared with the model alone on all processors and all texts at once."""
    size, rounds = bench.scale.model_rows, bench.scale.rounds
    parts = {side: slices(size) for side in (PLATFORM, EMBEDDER)}
    known: set[str] = set()

    def alone() -> float:
        of_rows = ((row.question, embedded_text(row.question, row.answer)) for row in rows[next(parts[EMBEDDER])])
        # The worker has the texts of earlier rounds in its cache.
        texts = set(itertools.chain.from_iterable(of_rows)) - known
        known.update(texts)
        return timed(lambda: asyncio.run(embedder.embed(list(texts))))

    sides = {PLATFORM: lambda: unindexed.index(unindexed.ids[next(parts[PLATFORM])]), EMBEDDER: alone}
    asyncio.run(embedder.embed([rows[0].question]))
    # No warm-up round: the worker has already indexed some rows.
    seconds = in_turn(sides, rounds, warm=True)
    shown = {f"{side}, rows/s": [size / one for one in seconds[side]] for side in seconds}
    ratio = ratios(seconds[PLATFORM], seconds[EMBEDDER])
    return Figure("time to index, local model / embedder alone", "times", at_most(1.1), ratio, shown)


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure rows per second, and how soon a row becomes searchable."""
    fresh = numbered(bench.rows)
    with (
        ServerStack(bench.folder, durable=True, deployed=True, rag_app=None, RELAY_POLL_INTERVAL=POLL_S) as stack,
        Client(stack.api_url, timeout=60) as client,
    ):
        with free_sides(stack, client, bench, fresh) as sides:
            yield from throughput(sides, bench)
            probe = Probe(stack, client, stub_embedder.StubEmbedder(), fresh)
            with writes(stack.api_port, numbered(bench.rows, mark="load ")):
                yield freshness(f"{WRITES_PER_S} writes/s, free embedder", probe, bench)
        rows = list(islice(fresh, WARM_UP + bench.scale.rounds * bench.scale.model_rows))
        unindexed, embedder = UnindexedRows(stack, client, rows), LocalEmbedder()
        with stack.worker():
            unindexed.index(unindexed.ids[:WARM_UP])
            yield with_model(unindexed, embedder, rows, bench)
            yield freshness("idle, local model", Probe(stack, client, embedder, fresh), bench)
