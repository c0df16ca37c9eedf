"""A second kind of units, of which the application knows only the name: notes, each with several units.

All that is said of one way from a change to the index's state holds for it: outbox, message, report, the status of a
source, the page of versions for reconciliation, and what is queued again.
"""

import base64
import json
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import httpx
import pytest
import redis
from asgi_lifespan import LifespanManager
from conversations_api.clock import utc_now
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.main import UNIT_SOURCES, create_app
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.settings import Settings
from conversations_api.units.repository import IndexStateRepository
from conversations_api.units.sources import UnitSource
from mh_common.jobs import INDEX_QUEUE, MAX_JOB_UNITS, IndexJob, job_units
from mh_common.models import INTERNAL_INDEX
from mh_common.units import IndexStatus, Unit, UnitKey
from mh_devtools.testing.fixtures import RunQuery
from mh_devtools.testing.waiting import eventually

INDEXED, FAILED = {"status": "indexed"}, {"status": "failed", "reason": "The embedder refused the text."}


class Notes:
    """Notes in memory; a real source reads and locks rows of a table."""

    versions_of: ClassVar[dict[UnitKey, int]] = {}

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, keys: Collection[UnitKey]) -> dict[UnitKey, int]:
        return await self.versions(keys)

    async def versions(self, keys: Collection[UnitKey]) -> dict[UnitKey, int]:
        return {key: self.versions_of[key] for key in keys if key in self.versions_of}

    async def page(self, after: UnitKey, limit: int, since: datetime | None) -> Sequence[Unit]:
        assert since is None
        return [Unit(key, self.versions_of[key]) for key in sorted(self.versions_of) if key > after][:limit]

    async def total(self) -> int:
        return len(self.versions_of)


# Checked by mypy: the double keeps to the protocol.
_: type[UnitSource] = Notes


def note(source_id: int, count: int) -> list[UnitKey]:
    """Return the units of a note."""
    return [UnitKey("note", source_id, ordinal) for ordinal in range(count)]


@pytest.fixture(autouse=True)
def notes() -> Iterator[dict[UnitKey, int]]:
    """The notes that there are: one of 70 units, one of two."""
    Notes.versions_of = dict.fromkeys([*note(1, 70), *note(2, 2)], 1)
    yield Notes.versions_of
    Notes.versions_of = {}


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, {**UNIT_SOURCES, "note": Notes})
    async with LifespanManager(app) as manager:
        transport = httpx.ASGITransport(manager.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


@pytest.fixture
def messages(settings: Settings) -> Iterator[Any]:
    """Return the messages in the queue: task and keyword arguments of each, the first first."""
    with redis.Redis.from_url(settings.redis.url) as queue:
        queue.delete(INDEX_QUEUE)

        def read() -> list[tuple[str, dict[str, Any]]]:
            found = [json.loads(message) for message in reversed(queue.lrange(INDEX_QUEUE, 0, -1))]
            bodies = [json.loads(base64.b64decode(message["body"])) for message in found]
            return [(message["headers"]["task"], body[1]) for message, body in zip(found, bodies, strict=True)]

        yield read
        queue.delete(INDEX_QUEUE)


async def write(sessions: SessionFactory, keys: Sequence[UnitKey]) -> None:
    """Do what a noun's service does with new rows."""
    async with sessions.begin() as session:
        await IndexStateRepository(session).queue_new(keys, utc_now())
        await OutboxRepository(session).add(IndexJob.CREATED, keys)


async def report(client: httpx.AsyncClient, keys: Iterable[UnitKey], **said: str) -> Any:
    outcomes = [{**key._asdict(), "version": 1, **said} for key in keys]
    answer = await client.post(f"{INTERNAL_INDEX}/reports", json={"outcomes": outcomes})
    assert answer.status_code == 200
    return answer.json()["versions"]


async def statuses(sessions: SessionFactory) -> dict[int, IndexStatus]:
    async with sessions() as session:
        return await IndexStateRepository(session).source_statuses("note", [1, 2, 3])


@pytest.mark.redis
async def test_its_jobs_are_messages_of_one_kind_and_at_most_64_units(
    client: httpx.AsyncClient, sessions: SessionFactory, messages: Any, notes: dict[UnitKey, int]
) -> None:
    await write(sessions, list(notes))

    await eventually(lambda: sum(len(job_units(arguments)) for _, arguments in messages()) == len(notes))

    found = messages()
    assert {task for task, _ in found} == {IndexJob.CREATED.value}
    assert [key for _, arguments in found for key in job_units(arguments)] == list(notes)
    assert found[0][1] == {"kind": "note", "units": [[1, ordinal] for ordinal in range(MAX_JOB_UNITS)]}


async def test_reports_change_states_by_unit_and_a_notes_status_follows_from_them(
    client: httpx.AsyncClient, sessions: SessionFactory, notes: dict[UnitKey, int]
) -> None:
    first, second = note(1, 70), note(2, 2)
    await write(sessions, list(notes))
    assert await statuses(sessions) == {1: IndexStatus.PENDING, 2: IndexStatus.PENDING}

    await report(client, second, **INDEXED)
    await report(client, first[:5], **INDEXED)
    assert await statuses(sessions) == {1: IndexStatus.PENDING, 2: IndexStatus.INDEXED}

    await report(client, first[5:6], **FAILED)
    assert await statuses(sessions) == {1: IndexStatus.FAILED, 2: IndexStatus.INDEXED}

    await report(client, first[5:], **INDEXED)
    assert await statuses(sessions) == {1: IndexStatus.INDEXED, 2: IndexStatus.INDEXED}


async def test_a_report_returns_the_current_versions(
    client: httpx.AsyncClient, sessions: SessionFactory, notes: dict[UnitKey, int]
) -> None:
    await write(sessions, list(notes))
    moved, gone = note(2, 2)
    notes[moved] = 5
    del notes[gone]

    answer = await report(client, [moved, gone], **INDEXED)

    assert answer == [{**moved._asdict(), "version": 5}, {**gone._asdict(), "version": None}]


async def test_pages_of_versions_may_end_inside_a_note(
    client: httpx.AsyncClient, sessions: SessionFactory, notes: dict[UnitKey, int]
) -> None:
    await write(sessions, list(notes))
    await report(client, note(2, 1), **INDEXED)
    params: dict[str, str | int] = {"kind": "note", "limit": 30}
    pages = []
    while True:
        pages.append((await client.get(f"{INTERNAL_INDEX}/versions", params=params)).json())
        if pages[-1]["next_after"] is None:
            break
        end = pages[-1]["next_after"]
        params |= {"after": end["source_id"], "after_ordinal": end["ordinal"]}

    items = [item for page in pages for item in page["items"]]
    assert [len(page["items"]) for page in pages] == [30, 30, 12]
    assert [UnitKey(item["kind"], item["source_id"], item["ordinal"]) for item in items] == list(notes)
    assert [item["status"] for item in items] == ["pending"] * 70 + ["indexed", "pending"]


async def test_queueing_an_absent_unit_deletes_its_state(
    client: httpx.AsyncClient, sessions: SessionFactory, notes: dict[UnitKey, int], query: RunQuery
) -> None:
    await write(sessions, list(notes))
    await report(client, note(2, 2), **INDEXED)
    kept, gone = note(2, 2)
    del notes[gone]

    units = [key._asdict() for key in (kept, gone)]
    answer = await client.post(f"{INTERNAL_INDEX}/queue", json={"units": units})

    assert (answer.status_code, answer.json()) == (202, {"queued": 2})
    states = await query("SELECT ordinal, status FROM index_states WHERE kind = 'note' AND source_id = 2")
    assert states == [(kept.ordinal, "pending")]


async def test_users_see_conversations_only(
    client: httpx.AsyncClient, sessions: SessionFactory, notes: dict[UnitKey, int]
) -> None:
    await write(sessions, list(notes))
    await report(client, note(2, 2), **FAILED)

    summary = (await client.get("/api/v1/index/summary")).json()

    assert (summary["total"], summary["pending"], summary["failed"]) == (0, 0, 0)
    assert (await client.get("/api/v1/index/failures")).json()["items"] == []
    assert (await client.get("/api/v1/conversations/2/index-state")).status_code == 404


@pytest.mark.parametrize("kind", ["letter", "Note", "x" * 33])
async def test_an_unknown_kind_is_named(client: httpx.AsyncClient, kind: str) -> None:
    versions = await client.get(f"{INTERNAL_INDEX}/versions", params={"kind": kind})
    unit = {"kind": kind, "source_id": 1, "ordinal": 0}
    queued = await client.post(f"{INTERNAL_INDEX}/queue", json={"units": [unit]})

    assert versions.status_code == 400
    assert queued.status_code == (400 if kind == "letter" else 422)
