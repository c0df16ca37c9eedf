"""The plan of a run: which faults occur and when, drawn from the seed before anything starts."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

APIS: Final = ("api-1", "api-2")
WORKERS: Final = ("worker-1", "worker-2")
RAG: Final = "rag"
REDIS: Final = "redis"
MILVUS: Final = "milvus"
MYSQL: Final = "mysql"
MESSAGES: Final = "messages"
EMBEDDER: Final = "embedder"

WINDOW_S: Final = 60.0
"""Seconds during which faults start, at scale 1."""
MOST_FAULTS: Final = 9
LEAST_FAULTS: Final = 5


class Kind(StrEnum):
    """A kind of fault, with the name that the table prints."""

    KILL_CHILD = "kill -9 of a worker's child"
    KILL_WORKER = "kill -9 of a worker"
    KILL_API = "kill -9 of an API"
    KILL_REDIS = "kill -9 of Redis"
    KILL_MILVUS = "kill -9 of Milvus"
    KILL_MYSQL = "kill -9 of MariaDB"
    RESTART_MYSQL = "restart of MariaDB"
    FLUSH = "Redis FLUSHALL"
    STOP = "SIGSTOP"
    MESSAGES = "messages twice, late, out of order"
    EMBEDDER_429 = "embedder answers 429"
    EMBEDDER_500 = "embedder answers 500"
    EMBEDDER_SLOW = "embedder times out"
    EMBEDDER_LENGTH = "embedder gives wrong lengths"


@dataclass(frozen=True)
class _Shape:
    targets: tuple[str, ...]
    shortest: float = 0.0
    longest: float = 0.0


_PROCESSES = (*APIS, RAG, *WORKERS, REDIS, MILVUS, MYSQL)
_SHAPES: Final = {
    Kind.KILL_CHILD: _Shape(WORKERS),
    Kind.KILL_WORKER: _Shape(WORKERS, 1, 10),
    Kind.KILL_API: _Shape((*APIS, RAG), 1, 10),
    Kind.KILL_REDIS: _Shape((REDIS,), 1, 10),
    Kind.KILL_MILVUS: _Shape((MILVUS,), 1, 10),
    Kind.KILL_MYSQL: _Shape((MYSQL,), 1, 10),
    Kind.RESTART_MYSQL: _Shape((MYSQL,), 1, 10),
    Kind.FLUSH: _Shape((REDIS,)),
    Kind.STOP: _Shape(_PROCESSES, 5, 30),
    Kind.MESSAGES: _Shape((MESSAGES,), 5, 20),
    Kind.EMBEDDER_429: _Shape((EMBEDDER,), 2, 10),
    Kind.EMBEDDER_500: _Shape((EMBEDDER,), 2, 10),
    Kind.EMBEDDER_SLOW: _Shape((EMBEDDER,), 2, 10),
    Kind.EMBEDDER_LENGTH: _Shape((EMBEDDER,), 2, 10),
}


@dataclass(frozen=True, order=True)
class Fault:
    """One fault. `at`: seconds since the start of the run; `lasts`: duration in seconds."""

    at: float
    kind: Kind
    target: str
    lasts: float

    @property
    def end(self) -> float:
        """When it is over: the process is restarted or continued, or the embedder works again."""
        return self.at + self.lasts

    def __str__(self) -> str:
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:5.1f} s  {self.kind} ({self.target}){lasts}"


@dataclass(frozen=True)
class Plan:
    """All faults of a run, in the order of their start.

    `redis_keeps`: Redis has an append-only file. `latency`: seconds that the embedder sometimes takes to respond.
    `pause`: mean pause in seconds before each write. With few writes, workers overtake each other; many writes create a
    backlog.
    """

    seed: int
    redis_keeps: bool
    latency: float
    pause: float
    faults: tuple[Fault, ...]
    window: float

    @property
    def loses_messages(self) -> bool:
        """Whether Redis loses jobs, so that only a reconciliation can repair their effect."""
        kinds = {fault.kind for fault in self.faults}
        return Kind.FLUSH in kinds or (Kind.KILL_REDIS in kinds and not self.redis_keeps)

    @property
    def may_lose_a_message(self) -> bool:
        """Whether a fault can lose a job that a worker has popped but not yet recorded in Redis as unacknowledged.

        Celery's transport performs these two steps one after the other.
        """
        return bool({Kind.KILL_REDIS, Kind.KILL_WORKER} & {fault.kind for fault in self.faults})

    @property
    def end(self) -> float:
        """When the last fault is over and clients stop writing."""
        return max(self.window, *(fault.end for fault in self.faults))


def actor_rng(seed: int, actor: str) -> random.Random:
    """Return a random generator for one actor, so that actors do not influence each other's choices."""
    return random.Random(f"{seed}/{actor}")


def make_plan(seed: int, scale: float) -> Plan:
    """Draw a run's faults. `scale` multiplies all times; the choices are the same at every scale."""
    rng = actor_rng(seed, "faults")
    redis_keeps, latency, pause = rng.random() < 0.5, rng.choice((0.03, 0.1, 0.2)), rng.choice((0.05, 0.4))
    faults: list[Fault] = []
    # STOP three more times, as it can affect each of eight processes.
    kinds = [*Kind, *[Kind.STOP] * 3]
    for kind in rng.sample(kinds, rng.randint(LEAST_FAULTS, MOST_FAULTS)):
        shape = _SHAPES[kind]
        fault = Fault(
            at=rng.uniform(0.05, 0.95) * WINDOW_S,
            kind=kind,
            target=rng.choice(shape.targets),
            lasts=rng.uniform(shape.shortest, shape.longest),
        )
        # Only one fault per target at a time: a dead process cannot be stopped.
        if all(_apart(fault, other) for other in faults):
            faults.append(fault)
    scaled = (Fault(one.at * scale, one.kind, one.target, one.lasts * scale) for one in faults)
    return Plan(seed, redis_keeps, latency, pause, tuple(sorted(scaled)), WINDOW_S * scale)


def _apart(one: Fault, other: Fault, gap: float = 2.0) -> bool:
    return one.target != other.target or one.end + gap < other.at or other.end + gap < one.at
