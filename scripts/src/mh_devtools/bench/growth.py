"""How performance changes as the data grows from 2,000 to 20,000 and 100,000 conversations; searches at each size.

The exponents are slopes: 1 means that twice the rows take twice the time. As the speed of machines varies, reads are
compared with a request that does not use the database, alternating with it.
"""

import asyncio
import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import httpx
import psutil
from mh_client import Client, ConversationCreate

from mh_devtools import servers
from mh_devtools.bench import stub_embedder
from mh_devtools.bench.data import import_whole, wait_until_indexed
from mh_devtools.bench.load import get, requests_per_second
from mh_devtools.bench.measuring import Bench, Figure, at_most, in_turn, ratios, timed
from mh_devtools.bench.peers.chroma import Chroma
from mh_devtools.bench.searching import Searching
from mh_devtools.bench.texts import variants, write_rows
from mh_devtools.stack.server_stack import ServerStack

PATH = "/api/v1/conversations"
PAGE = 50
IDLE = "GET /livez"
READS = ("GET one", f"GET a page of {PAGE}", f"GET a page of {PAGE} from the middle")
SAMPLE_S = 0.01


@dataclass
class Size:
    """The measurements at one number of rows."""

    rows: int
    importing: float
    """Seconds for the rows added since the previous size; likewise `indexing`."""
    indexing: float
    reads: dict[str, list[float]] = field(default_factory=dict)
    """Time relative to a request that does nothing, by kind, one value for each round."""
    export_peak: int = 0
    """Peak memory of the API during a complete export, in bytes."""


def measure(bench: Bench, with_peer: bool = True) -> Iterator[Figure]:
    """Fill a platform and measure at each size; `with_peer`: compare with a Chroma server of the same size."""
    sizes: list[Size] = []
    free_port = servers.free_port()
    with (
        ServerStack(bench.folder, durable=True, deployed=True) as stack,
        Client(stack.api_url, timeout=60) as client,
        Chroma(bench.folder / "chroma") if with_peer else nullcontext() as chroma,
    ):
        stack.serve("rag-api, free embedder", stub_embedder.RAG_APP, free_port, "/readyz")
        searching = Searching(bench, stack, free_port, chroma)
        for rows in bench.scale.sizes:
            before = sizes[-1].rows if sizes else 0
            added = variants(bench.rows, before, rows - before)
            sizes.append(size := _grow(bench, stack, client, added, rows))
            size.reads = _reads(bench, stack, client, rows)
            size.export_peak = _export_peak(stack)
            searching.add_to_chroma(before, added)
            yield from searching.figures(rows)
            if rows == bench.scale.sizes[0]:
                # At the smallest, where a search takes least and the check of its key weighs most.
                yield from searching.access_figures(rows)
    yield from _figures(sizes)


def _grow(bench: Bench, stack: ServerStack, client: Client, added: Sequence[ConversationCreate], size: int) -> Size:
    """Import, then index the rows added for this size, one activity at a time."""
    file = bench.folder / f"rows{size}.csv"
    write_rows(added, file)
    importing = timed(lambda: asyncio.run(import_whole(stack.api_url, file)))
    file.unlink()
    with stack.worker(app=stub_embedder.CELERY_APP):
        wait_until_indexed(client)
    return Size(size, importing, _indexing_seconds(stack, len(added)))


def _indexing_seconds(stack: ServerStack, last: int) -> float:
    """Return the seconds between the first and the last of the newest rows, which excludes the worker's start."""
    with stack.connect_to_mysql(stack.database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT TIMESTAMPDIFF(MICROSECOND, MIN(indexed_at), MAX(indexed_at)) FROM "
            "(SELECT indexed_at FROM index_states ORDER BY kind DESC, source_id DESC LIMIT %s) added",
            (last,),
        )
        [microseconds] = cursor.fetchone() or [0]
    return float(microseconds) / 1e6


def _reads(bench: Bench, stack: ServerStack, client: Client, size: int) -> dict[str, list[float]]:
    """Return the time of reads, relative to a request that does nothing."""
    cursor, ids = None, []
    for _ in range(max(1, size // 2 // 200)):
        page = client.conversations.list(limit=200, cursor=cursor)
        cursor, ids = page.next_cursor, [row.id for row in page.items]
    middle = f"&cursor={cursor}" if cursor else ""
    requests = {
        IDLE: [get("/livez")],
        READS[0]: [get(f"{PATH}/{key}") for key in ids],
        READS[1]: [get(f"{PATH}?limit={PAGE}")],
        READS[2]: [get(f"{PATH}?limit={PAGE}{middle}")],
    }
    sides = {
        name: partial(requests_per_second, itertools.cycle(some), stack.api_port, 1, bench.scale.search_seconds)
        for name, some in requests.items()
    }
    rates = in_turn(sides, bench.scale.rounds)
    return {name: ratios(rates[IDLE], rates[name]) for name in READS}


def _export_peak(stack: ServerStack) -> int:
    """Return the peak memory of the API during complete exports, in bytes."""
    with _watch_memory(stack.running["conversations-api"]) as peak:
        for kind in ("csv", "jsonl"):
            with httpx.stream("GET", f"{stack.api_url}{PATH}/export?format={kind}", timeout=60) as response:
                response.raise_for_status()
                for _ in response.iter_raw():
                    pass
    return peak[0]


@contextmanager
def _watch_memory(server: servers.Running) -> Iterator[list[int]]:
    """Yield a list that holds the peak memory of the server and its children so far."""
    family = [process := psutil.Process(server.process.pid), *process.children(recursive=True)]
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_S):
            peak[0] = max(peak[0], sum(one.memory_info().rss for one in family))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _figures(sizes: Sequence[Size]) -> Iterator[Figure]:
    first, last = sizes[0], sizes[-1]
    if first is not last:
        for what in ("importing", "indexing"):
            yield exponent(what, sizes)
    for name in READS:
        relative = ratios(last.reads[name], first.reads[name])
        shown = {f"times {IDLE} at {one.rows:,}": one.reads[name] for one in sizes}
        yield Figure(f"{name}: time at {last.rows:,} rows / at {first.rows:,}", "times", at_most(1.2), relative, shown)
    name = f"export: most memory of the API at {last.rows:,} rows / at {first.rows:,}"
    peaks = {f"MB at {one.rows:,}": [one.export_peak / 1e6] for one in sizes}
    yield Figure(name, "times", at_most(1.1), [last.export_peak / first.export_peak], peaks)


def exponent(what: str, sizes: Sequence[Size]) -> Figure:
    """Return the slopes of log(time) over log(rows) between consecutive sizes."""
    seconds, total = [], 0.0
    for size in sizes:
        total += getattr(size, what)
        seconds.append(total)
    slopes = [
        math.log(seconds[place + 1] / seconds[place]) / math.log(sizes[place + 1].rows / sizes[place].rows)
        for place in range(len(sizes) - 1)
    ]
    shown = {f"s to {size.rows:,} rows": [time] for size, time in zip(sizes, seconds, strict=True)}
    return Figure(f"{what}: exponent of growth", "", at_most(1.05), slopes, shown)
