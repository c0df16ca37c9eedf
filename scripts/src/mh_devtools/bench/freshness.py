"""How soon a conversation becomes searchable: from the response to its POST until a read of Milvus returns it.

It is compared, alternately and under the same load, with the unavoidable work: embedding and upserting a similar row.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from indexer_worker.vector_store.rows import vector_row
from mh_client import Client, Conversation, ConversationCreate, IndexStatus
from mh_common.embeddings.protocol import Embedder
from mh_common.milvus import GRPC_OPTIONS
from mh_common.vector_index import COLLECTION, ID, embedded_text
from pymilvus import MilvusClient

from mh_devtools.bench.load import send
from mh_devtools.bench.measuring import Bench, Figure, at_most, differences, in_turn, percentile, timed
from mh_devtools.stack.server_stack import ServerStack

Fresh = Iterator[ConversationCreate]
"""New conversations that no cache knows."""

WRITES_PER_S = 50
TOLERANCE_MS = 300
SHARE = 0.95
POLL_S = 0.005
TIMEOUT_S = 30.0
FAR_ID = 1 << 40
"""First id of the rows written directly; conversations never reach it."""
PATH = "/api/v1/conversations"
PLATFORM, DIRECT = "commit to searchable", "embed + upsert"


class Writes(threading.Thread):
    """POSTs conversations at a steady rate, whether or not the server keeps up."""

    def __init__(self, port: int, rows: Fresh) -> None:
        super().__init__(name="writes", daemon=True)
        self._port = port
        self._rows = rows
        self._ended = threading.Event()
        self.failed = 0

    def run(self) -> None:
        """Send until stopped."""
        asyncio.run(self._send())

    def stop(self) -> None:
        """Stop, and wait for pending writes. Raises RuntimeError if a write failed."""
        self._ended.set()
        self.join()
        if self.failed:
            raise RuntimeError(f"{self.failed} of the writes failed")

    async def _send(self) -> None:
        started, pending = time.perf_counter(), set[asyncio.Task[None]]()
        for number, row in enumerate(self._rows):
            if self._ended.is_set():
                break
            await asyncio.sleep(max(0.0, started + number / WRITES_PER_S - time.perf_counter()))
            pending.add(task := asyncio.create_task(self._post(row)))
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)

    async def _post(self, row: ConversationCreate) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(send("POST", PATH, row.model_dump_json()))
        if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201"):
            self.failed += 1
        writer.close()


@contextmanager
def writes(port: int, rows: Fresh) -> Iterator[None]:
    """Write conversations at a steady rate during the block."""
    thread = Writes(port, rows)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


class Probe:
    """Writes single conversations, through the platform and directly to Milvus."""

    def __init__(self, stack: ServerStack, client: Client, embedder: Embedder, rows: Fresh) -> None:
        self._client = client
        # A connection of its own: the server may have closed a shared one that was idle.
        self._milvus = MilvusClient(stack.milvus_uri, dedicated=True, grpc_options=GRPC_OPTIONS)
        self._embedder = embedder
        self._rows = rows
        self._far_ids = itertools.count(FAR_ID)

    def through_platform(self) -> float:
        """Write a conversation; return the seconds from the response until Milvus returns it."""
        key = self._client.conversations.create(**next(self._rows).model_dump()).id
        return timed(partial(self._wait_for, key))

    def directly(self) -> float:
        """Return the seconds for embedding and upserting a row, which is deleted afterwards."""
        key, now = next(self._far_ids), datetime.now(UTC)
        row = Conversation(
            id=key,
            version=1,
            created_at=now,
            updated_at=now,
            index_status=IndexStatus.PENDING,
            **next(self._rows).model_dump(),
        )
        seconds = timed(partial(self._embed_and_upsert, row))
        self._milvus.delete(COLLECTION, ids=[key])
        return seconds

    def _embed_and_upsert(self, row: Conversation) -> None:
        texts = [row.question, embedded_text(row.question, row.answer)]
        question, both = asyncio.run(self._embedder.embed(texts))
        self._milvus.upsert(COLLECTION, [vector_row(row, question, both)])

    def _wait_for(self, key: int) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not self._milvus.query(COLLECTION, ids=[key], output_fields=[ID], consistency_level="Strong"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"A conversation is not in Milvus after {TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)


def freshness(name: str, probe: Probe, bench: Bench) -> Figure:
    """Measure under the current load."""

    def p95(work: Callable[[], float]) -> float:
        return 1000 * percentile([work() for _ in range(bench.scale.answers // 3)], SHARE)

    sides = {PLATFORM: partial(p95, probe.through_platform), DIRECT: partial(p95, probe.directly)}
    taken = in_turn(sides, bench.scale.rounds)
    more = differences(taken[PLATFORM], taken[DIRECT])
    shown = {f"{side}, p95 in ms": values for side, values in taken.items()}
    return Figure(f"commit to searchable, p95, {name}, less {DIRECT}", "ms", at_most(TOLERANCE_MS), more, shown)
