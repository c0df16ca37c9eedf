"""One run: first clients and faults, then time for the platform to settle, then the checks."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final

from mh_client import MHError
from mh_common import vector_index as fields
from pymilvus import MilvusClient
from redis.asyncio import Redis
from redis.exceptions import RedisError

from mh_devtools.chaos.clients import Clients, Reader, Writer
from mh_devtools.chaos.faults import Faults
from mh_devtools.chaos.interposer import Interposer
from mh_devtools.chaos.oracle import Oracle, Verdict
from mh_devtools.chaos.plan import MILVUS, REDIS, Plan, actor_rng
from mh_devtools.chaos.stack import DATABASE, ChaosStack
from mh_devtools.chaos.verify import Stored, differences, read_stores
from mh_devtools.stubs.openai_stub import StubOpenAI

CONVERGENCE_S: Final = 60.0
"""Seconds after the last fault within which index and MySQL must agree."""
SETTLING_S: Final = 30.0
"""Seconds after the last fault within which all retried writes must succeed."""
ALONE_S: Final = 25.0
"""Seconds after the last fault before reconciliations start in runs that may have lost a single message."""
SYNC_S: Final = 2.0
"""Seconds between reconciliations; a deployment has minutes between them."""
LONGEST_S: Final = 240.0
"""Maximum seconds that a run may continue after the last fault."""
WRITERS: Final = 3
READERS: Final = 2


@dataclass(frozen=True)
class Result:
    """The result of a run. `converged_in`: seconds after the last fault; None: not in time."""

    plan: Plan
    counts: Counter[str]
    violations: list[tuple[Verdict, str]]
    converged_in: float | None
    unexpected: list[str]

    @property
    def needed_reconciliation(self) -> bool:
        """Whether a job was lost although Redis lost no data."""
        if self.plan.loses_messages or not self.plan.may_lose_a_message:
            return False
        return self.converged_in is not None and self.converged_in > ALONE_S


async def run(plan: Plan, stack: ChaosStack, embedder: StubOpenAI) -> Result:
    """Empty the stores, execute the plan and check the result."""
    await reset(stack, plan.redis_keeps)
    oracle = Oracle()
    interposer = Interposer(stack.ports[REDIS], actor_rng(plan.seed, "interposer"))
    faults = Faults(stack, interposer, embedder, actor_rng(plan.seed, "faults at work"))
    async with asyncio.timeout(plan.end + LONGEST_S), AsyncExitStack() as resources, asyncio.TaskGroup() as group:
        users = [
            await resources.enter_async_context(Clients(stack.urls, stack.api_key))
            for _ in range(WRITERS + READERS + 2)
        ]
        writers = [Writer(f"writer{number}", plan, users.pop(), oracle) for number in range(WRITERS + 1)]
        readers = [Reader(actor_rng(plan.seed, f"reader {n}"), users.pop(), oracle) for n in range(READERS)]
        scheduler = group.create_task(_schedule(users.pop(), plan))
        works = [stack.supervise(), interposer.run(), _vary_latency(embedder, plan), *(one.run() for one in readers)]
        background = [group.create_task(work) for work in works]
        ended = await _inject_faults(plan, faults, writers)
        await _settle(writers, ended, oracle)
        agreed = await _agreement(stack, ended + CONVERGENCE_S)
        await _end([scheduler])
        stored = await _at_rest(stack, interposer)
        await _end(background)
    _judge(oracle, stored, agreed)
    converged_in = None if agreed is None else max(agreed - ended, 0.0)
    unexpected, stack.unexpected = stack.unexpected, []
    return Result(plan, oracle.counts, oracle.violations, converged_in, unexpected)


async def reset(stack: ChaosStack, redis_keeps: bool) -> None:
    """Empty the stores. Ids are not reset, so that rows of an earlier run cannot be mistaken for this run's."""
    with stack.database(DATABASE) as connection, connection.cursor() as cursor:
        for table in ("index_outbox", "index_states", "index_runs", "idempotency_keys", "mental_health_conversations"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - no value from outside
    milvus = MilvusClient(stack.urls[MILVUS], dedicated=True)
    if milvus.has_collection(fields.COLLECTION):
        milvus.delete(fields.COLLECTION, filter=f"{fields.ID} > 0")
    milvus.close()
    stack.redis_keeps = redis_keeps
    # Restarted, because persistence is configured when Redis starts.
    await asyncio.to_thread(stack.kill, REDIS)
    await asyncio.to_thread(stack.start, REDIS)
    async with Redis(port=stack.ports[REDIS]) as redis:
        await redis.flushall()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end: a client library can mistake a cancellation for a lost connection and continue."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)


async def _inject_faults(plan: Plan, faults: Faults, writers: Sequence[Writer]) -> float:
    """Let clients write while the faults occur. Return when the last one was over, on the monotonic clock."""
    began = time.monotonic()
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(writers[0].load(over))
        for writer in writers[1:]:
            group.create_task(writer.write(over))
        await asyncio.gather(*(faults.happen(fault, began) for fault in plan.faults))
        await asyncio.sleep(plan.end - (time.monotonic() - began))
        ended = time.monotonic()
        over.set()
    return ended


async def _settle(writers: Sequence[Writer], ended: float, oracle: Oracle) -> None:
    """Retry writes with an unknown outcome, as a client that stores its idempotency keys does."""
    while remaining := sum(writer.unsettled for writer in writers):
        if time.monotonic() > ended + SETTLING_S:
            oracle.accuse(
                Verdict.ERROR, f"{remaining} writes did not succeed within {SETTLING_S:.0f} s after the last fault"
            )
            return
        for writer in writers:
            await writer.settle()


async def _agreement(stack: ChaosStack, deadline: float) -> float | None:
    """Return when index and MySQL first agreed, on the monotonic clock; None if not before the deadline."""
    while time.monotonic() < deadline:
        with suppress(OSError):
            stored = await asyncio.to_thread(read_stores, stack)
            if not any(differences(stored)):
                return time.monotonic()
        await asyncio.sleep(0.3)
    return None


async def _at_rest(stack: ChaosStack, interposer: Interposer) -> Stored:
    """Return what is stored once no messages are left: none of them may cause new differences."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CONVERGENCE_S):
            while await _waiting(interposer):  # noqa: ASYNC110 - Redis sends no notification
                await asyncio.sleep(0.2)
    return await asyncio.to_thread(read_stores, stack, whole=True)


async def _waiting(interposer: Interposer) -> bool:
    try:
        return bool(await interposer.waiting())
    except (RedisError, OSError):
        return True


async def _vary_latency(embedder: StubOpenAI, plan: Plan) -> None:
    """Let the embedder answer some requests immediately and others late, so that workers overtake each other."""
    rng = actor_rng(plan.seed, "latency")
    while True:
        # Mostly no latency: with a backlog, every job would read the latest version.
        [factor] = rng.choices((0, 1, 4), (6, 2, 1))
        embedder.latency = plan.latency * factor
        await asyncio.sleep(rng.uniform(0.02, 0.1))


async def _schedule(users: Clients, plan: Plan) -> None:
    """Regularly request a retry of failed units and, if jobs were lost, a reconciliation.

    If none were lost, outbox and worker must succeed without one, which would hide their bugs. If one may have been
    lost, reconciliations start after some time, so that the table shows how often one was needed.
    """
    rng = actor_rng(plan.seed, "scheduler")
    began = time.monotonic()
    while True:
        await asyncio.sleep(SYNC_S)
        late = time.monotonic() - began > plan.end + ALONE_S
        with suppress(MHError):
            await users.any(rng).index.retry()
            if plan.loses_messages or (plan.may_lose_a_message and late):
                await users.any(rng).index.sync()


def _judge(oracle: Oracle, stored: Stored, agreed: float | None) -> None:
    oracle.check_stored(stored.rows)
    for verdict, evidence in differences(stored):
        oracle.accuse(verdict, evidence)
    if agreed is None:
        oracle.accuse(Verdict.DIVERGED, f"index and MySQL did not agree within {CONVERGENCE_S:.0f} s")
