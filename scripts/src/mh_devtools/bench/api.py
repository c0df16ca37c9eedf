"""The conversations API, compared with minimal FastAPI handlers: on the async ORM, and on raw drivers.

And compared with itself: what it costs that every request must have a key.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from functools import partial

from mh_client import Client, ConversationCreate, Sentiment

from mh_devtools import servers
from mh_devtools.bench.load import get, requests_per_second, send
from mh_devtools.bench.measuring import Bench, Figure, at_least, in_turn, ratios
from mh_devtools.stack.server_stack import NO_MILVUS, ServerStack

ROWS = 1000
PAGE = 50
PREFIX = "/api/v1/conversations"
WARM_UP_S = 0.2
OURS, ORM, BARE, SYNC = "platform", "async ORM", "raw aiomysql", "synchronous"
GOALS = {ORM: 0.9, BARE: 0.5, SYNC: 1.5}
"""Minimum requests per second of the platform, as a share of each baseline's."""
ACCESS_GOAL = 0.75
"""Minimum requests per second with access control, as a share of those without it."""


def requests_of(prefix: str, ids: Sequence[int], rows: Sequence[ConversationCreate]) -> dict[str, Iterator[bytes]]:
    """Return endless requests of each kind, to a server with conversations at this path."""
    root = prefix or "/"
    once = {
        "GET one": [get(f"{prefix}/{key}") for key in ids],
        f"GET a page of {PAGE}": [get(f"{root}?limit={PAGE}")],
        "POST one": [send("POST", root, row.model_dump_json()) for row in rows],
        # Each changes something, as sentiments alternate for an id: an unchanged value would not be written.
        "PATCH one": [
            send("PATCH", f"{prefix}/{key}", json.dumps({"question_sentiment": sentiment}))
            for sentiment in Sentiment
            for key in ids
        ],
    }
    return {kind: itertools.cycle(requests) for kind, requests in once.items()}


def copy_rows(stack: ServerStack) -> None:
    """Copy the rows to a database of the baselines, so that the relay does not publish their outbox rows."""
    with stack.connect_to_mysql(stack.add_database()) as connection:
        for table in ("mental_health_conversations", "index_states"):
            connection.cursor().execute(f"INSERT INTO {table} SELECT * FROM {stack.database}.{table}")  # noqa: S608
        connection.commit()


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure requests per second by kind and number of clients."""
    with (
        ServerStack(bench.folder, durable=True, deployed=True, rag_app=None, milvus_uri=NO_MILVUS) as stack,
        Client(stack.api_url, timeout=60) as client,
    ):
        ids = client.conversations.bulk_create(bench.rows[:ROWS])
        copy_rows(stack)
        ports = {OURS: stack.api_port, **{side: servers.free_port() for side in GOALS}}
        stack.serve(ORM, "mh_devtools.bench.orm_api:create_app", ports[ORM], f"/{ids[0]}", **stack.beside)
        stack.serve(BARE, "mh_devtools.bench.bare_api:create_app", ports[BARE], f"/{ids[0]}", **stack.beside)
        stack.serve(SYNC, "mh_devtools.bench.bare_api:create_sync_app", ports[SYNC], f"/{ids[0]}", **stack.beside)
        # Concurrent requests never have the same id: they would wait for each other's locks.
        requests = {side: requests_of(PREFIX if side == OURS else "", ids, bench.rows) for side in ports}
        for kind in requests[OURS]:
            for side, port in ports.items():
                requests_per_second(requests[side][kind], port, max(bench.scale.clients), WARM_UP_S)
            for clients in bench.scale.clients:
                sides = {
                    side: partial(requests_per_second, requests[side][kind], port, clients, bench.scale.seconds)
                    for side, port in ports.items()
                }
                yield from figures(f"{kind}, {clients} {'client' if clients == 1 else 'clients'}", sides, bench)
        yield from access_figures(stack, ids, bench)


def figures(name: str, sides: dict[str, partial[float]], bench: Bench) -> Iterator[Figure]:
    """Measure one kind of request on every side."""
    rates = in_turn(sides, bench.scale.rounds, warm=True)
    for side, goal in GOALS.items():
        shown = {f"{one}, requests/s": rates[one] for one in (OURS, side)}
        yield Figure(f"{name} / {side}", "times", at_least(goal), ratios(rates[OURS], rates[side]), shown)


def access_figures(stack: ServerStack, ids: Sequence[int], bench: Bench) -> Iterator[Figure]:
    """Measure reads of one conversation, with and without access control."""
    port, key = servers.free_port(), stack.add_key("bench")
    with stack.serving(
        "conversations-api with accounts", "conversations_api.main:create_app", port, "/readyz", **stack.with_accounts
    ):
        requests = {
            "with accounts, requests/s": (port, itertools.cycle([get(f"{PREFIX}/{one}", key) for one in ids])),
            "open, requests/s": (stack.api_port, itertools.cycle([get(f"{PREFIX}/{one}") for one in ids])),
        }
        for to, some in requests.values():
            requests_per_second(some, to, max(bench.scale.clients), WARM_UP_S)
        for clients in bench.scale.clients:
            sides = {
                name: partial(requests_per_second, some, to, clients, bench.scale.seconds)
                for name, (to, some) in requests.items()
            }
            shown = in_turn(sides, bench.scale.rounds, warm=True)
            name = f"GET one, {clients} {'client' if clients == 1 else 'clients'}, AUTH_MODE=required / open"
            yield Figure(name, "times", at_least(ACCESS_GOAL), ratios(*shown.values()), shown)
