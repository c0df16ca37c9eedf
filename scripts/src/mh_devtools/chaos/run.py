"""One run: clients and faults together, then the platform's time to come to rest, then the judgement."""

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
"""Seconds after the last fault in which index and MySQL must have come to agree."""
SETTLING_S: Final = 30.0
"""Seconds after the last fault in which every write that is sent again must have been taken."""
ALONE_S: Final = 25.0
"""Seconds after the last fault in which a single lost message is left alone, as a run without any is."""
SYNC_S: Final = 2.0
"""Seconds between reconciliations; the scheduler of a deployment takes minutes."""
LONGEST_S: Final = 240.0
"""Seconds that a run may go on after the last fault, whatever hangs."""
WRITERS: Final = 3
READERS: Final = 2


@dataclass(frozen=True)
class Result:
    """What came of one run. `converged_in`: seconds after the last fault; None: not in time."""

    plan: Plan
    counts: Counter[str]
    violations: list[tuple[Verdict, str]]
    converged_in: float | None
    unexpected: list[str]

    @property
    def needed_reconciliation(self) -> bool:
        """Whether a job was lost although Redis lost nothing."""
        if self.plan.loses_messages or not self.plan.may_lose_a_message:
            return False
        return self.converged_in is not None and self.converged_in > ALONE_S


async def run(plan: Plan, stack: ChaosStack, embedder: StubOpenAI) -> Result:
    """Empty the stores, let the plan happen and judge what came of it."""
    await reset(stack, plan.redis_keeps)
    oracle = Oracle()
    interposer = Interposer(stack.ports[REDIS], actor_rng(plan.seed, "interposer"))
    faults = Faults(stack, interposer, embedder, actor_rng(plan.seed, "faults at work"))
    async with asyncio.timeout(plan.end + LONGEST_S), AsyncExitStack() as resources, asyncio.TaskGroup() as group:
        users = [await resources.enter_async_context(Clients(stack.urls)) for _ in range(WRITERS + READERS + 2)]
        writers = [Writer(f"writer{number}", plan, users.pop(), oracle) for number in range(WRITERS + 1)]
        readers = [Reader(actor_rng(plan.seed, f"reader {n}"), users.pop(), oracle) for n in range(READERS)]
        scheduler = group.create_task(_schedule(users.pop(), plan))
        works = [stack.supervise(), interposer.run(), _vary_latency(embedder, plan), *(one.run() for one in readers)]
        background = [group.create_task(work) for work in works]
        ended = await _turmoil(plan, faults, writers)
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
    """Empty the stores. Ids go on where they were, so that nothing of an earlier run passes for this one's."""
    with stack.database(DATABASE) as connection, connection.cursor() as cursor:
        for table in ("index_outbox", "index_states", "index_runs", "idempotency_keys", "mental_health_conversations"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - no value from outside
    milvus = MilvusClient(stack.urls[MILVUS], dedicated=True)
    if milvus.has_collection(fields.COLLECTION):
        milvus.delete(fields.COLLECTION, filter=f"{fields.ID} > 0")
    milvus.close()
    stack.redis_keeps = redis_keeps
    # Started again, not told: whether it keeps its data is decided at its start.
    await asyncio.to_thread(stack.kill, REDIS)
    await asyncio.to_thread(stack.start, REDIS)
    async with Redis(port=stack.ports[REDIS]) as redis:
        await redis.flushall()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end: a client library can take a cancellation for a lost connection, and go on."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)


async def _turmoil(plan: Plan, faults: Faults, writers: Sequence[Writer]) -> float:
    """Let clients write while the faults happen. Returns when the last fault was over, on the monotonic clock."""
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
    """Send again what nobody was told the outcome of, as a client that keeps its keys does."""
    while left := sum(writer.unsettled for writer in writers):
        if time.monotonic() > ended + SETTLING_S:
            oracle.accuse(Verdict.ERROR, f"{left} writes were not taken within {SETTLING_S:.0f} s after the last fault")
            return
        for writer in writers:
            await writer.settle()


async def _agreement(stack: ChaosStack, deadline: float) -> float | None:
    """Return when index and MySQL first agreed, on the monotonic clock; None: not by then."""
    while time.monotonic() < deadline:
        with suppress(OSError):
            stored = await asyncio.to_thread(read_stores, stack)
            if not any(differences(stored)):
                return time.monotonic()
        await asyncio.sleep(0.3)
    return None


async def _at_rest(stack: ChaosStack, interposer: Interposer) -> Stored:
    """Return what is stored once no message is on its way any more: none of them may undo the agreement."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CONVERGENCE_S):
            while await _waiting(interposer):  # noqa: ASYNC110 - Redis, which is asked, tells of no change
                await asyncio.sleep(0.2)
    return await asyncio.to_thread(read_stores, stack, whole=True)


async def _waiting(interposer: Interposer) -> bool:
    try:
        return bool(await interposer.waiting())
    except (RedisError, OSError):
        return True


async def _vary_latency(embedder: StubOpenAI, plan: Plan) -> None:
    """Let the embedder answer some requests at once and others late, so that one worker overtakes the other."""
    rng = actor_rng(plan.seed, "latency")
    while True:
        # Mostly none: behind a backlog every job would read the last version.
        [factor] = rng.choices((0, 1, 4), (6, 2, 1))
        embedder.latency = plan.latency * factor
        await asyncio.sleep(rng.uniform(0.02, 0.1))


async def _schedule(users: Clients, plan: Plan) -> None:
    """Ask again and again for another attempt at what failed, and for a reconciliation where jobs were lost.

    Where none were lost, outbox and worker must do without: a reconciliation would hide their faults. Where one may
    have been lost, they get some time first, so that the table tells how often it was.
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
