"""Reads the stores directly and compares them with each other."""

import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pymysql
from mh_common import vector_index as fields
from mh_common.models import IndexStatus
from pymilvus import MilvusClient, MilvusException

from mh_devtools.chaos.oracle import Shown, Verdict
from mh_devtools.chaos.plan import MILVUS
from mh_devtools.chaos.stack import DATABASE, DIMENSION, ChaosStack
from mh_devtools.stubs.openai_stub import embedding

MOST_NAMED = 5
"""Maximum number of ids that a finding lists."""


@dataclass(frozen=True)
class Vector:
    """A row of the index."""

    id: int
    version: int
    question: str
    embedding: tuple[float, ...]


@dataclass(frozen=True)
class Stored:
    """The content of the stores at one time."""

    rows: list[Shown]
    outbox: int
    states: Counter[IndexStatus]
    vectors: list[Vector] = field(default_factory=list)


def read_stores(stack: ChaosStack, *, whole: bool = False) -> Stored:
    """Read MySQL, and the index too if nothing is pending or `whole` is set. Raises OSError if one is unreachable."""
    try:
        with stack.database(DATABASE) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT status, COUNT(*) FROM index_states GROUP BY status")
            states = Counter({IndexStatus(status): count for status, count in cursor.fetchall()})
            cursor.execute("SELECT COUNT(*) FROM index_outbox")
            [(outbox,)] = cursor.fetchall()
            settled = not outbox and set(states) <= {IndexStatus.INDEXED}
            if not (settled or whole):
                return Stored([], outbox, states)
            cursor.execute("SELECT id, question, answer, version FROM mental_health_conversations")
            rows = [Shown(*row) for row in cursor.fetchall()]
        return Stored(rows, outbox, states, read_vectors(stack))
    except (pymysql.MySQLError, MilvusException) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def read_vectors(stack: ChaosStack) -> list[Vector]:
    """Read the whole index, including duplicate rows."""
    # For each iterator pymilvus would warn that Milvus Lite returns no timestamp.
    logging.getLogger("pymilvus").setLevel(logging.ERROR)
    client = MilvusClient(stack.urls[MILVUS], dedicated=True, timeout=10)
    wanted = [fields.ID, fields.VERSION, fields.QUESTION, fields.EMBEDDING]
    vectors: list[Vector] = []
    try:
        if not client.has_collection(fields.COLLECTION):
            return vectors
        pages = client.query_iterator(
            fields.COLLECTION,
            filter=f"{fields.ID} > 0",
            output_fields=wanted,
            batch_size=1000,
            consistency_level="Strong",
        )
        while page := pages.next():
            vectors += [
                Vector(row[fields.ID], row[fields.VERSION], row[fields.QUESTION], tuple(row[fields.EMBEDDING]))
                for row in page
            ]
        pages.close()
        return vectors
    finally:
        client.close()


def differences(stored: Stored) -> Iterator[tuple[Verdict, str]]:
    """Yield all differences between the index and MySQL."""
    if stored.outbox:
        yield Verdict.DIVERGED, f"{stored.outbox} outbox rows were not delivered"
    for status, count in stored.states.items():
        if status is not IndexStatus.INDEXED:
            yield Verdict.DIVERGED, f"{count} index states say {status}"
    if (states := stored.states.total()) != len(stored.rows):
        yield Verdict.DIVERGED, f"{len(stored.rows)} conversations have {states} index states"
    rows, vectors = {row.id: row for row in stored.rows}, {vector.id: vector for vector in stored.vectors}
    if len(stored.vectors) > len(vectors):
        copies = [key for key, count in Counter(vector.id for vector in stored.vectors).items() if count > 1]
        yield Verdict.DUPLICATED, f"the index has more than one row of {_named(copies)}"
    kinds = {
        "lacks": [key for key in rows if key not in vectors],
        "still has": [key for key in vectors if key not in rows],
        "has another version of": [key for key in rows if key in vectors and rows[key].version != vectors[key].version],
        "has another text of": [key for key in rows if key in vectors and rows[key].question != vectors[key].question],
        "has a wrong vector of": [key for key in vectors if key in rows and not _is_of(vectors[key], rows[key])],
    }
    for what, ids in kinds.items():
        if ids:
            yield Verdict.DIVERGED, f"the index {what} {_named(ids)}"


def _is_of(vector: Vector, row: Shown) -> bool:
    expected = embedding(row.question, DIMENSION, bag_of_words=True)
    return len(vector.embedding) == DIMENSION and math.dist(vector.embedding, expected) < 1e-3


def _named(ids: list[int]) -> str:
    named = ", ".join(map(str, sorted(ids)[:MOST_NAMED]))
    return f"{named} and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else named
