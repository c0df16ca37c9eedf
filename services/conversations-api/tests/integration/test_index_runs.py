"""Runs over the whole index: requested, sent to the worker until they have finished, one running at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from conversations_api.database import SessionFactory, make_engine, make_session_factory
from conversations_api.index_runs.repository import DueRun, IndexRunRepository
from conversations_api.index_runs.service import IndexRunService
from conversations_api.settings import DatabaseSettings
from mh_common.errors import LeaseConflictError
from mh_common.jobs import RUN_LEASE
from mh_common.models import INTERNAL_INDEX, IndexRun, IndexRunKind, IndexRunProgress, IndexRunStatus

INDEX = "/api/v1/index"
INTERNAL = INTERNAL_INDEX
RECONCILE = IndexRunKind.RECONCILE
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=RUN_LEASE)
AGAIN = timedelta(seconds=60)


class Runs:
    """The service with a clock set by the test, each call in a transaction of its own."""

    def __init__(self, sessions: SessionFactory) -> None:
        self.sessions = sessions
        self.now = NOW

    async def request(self, since: datetime | None = None, force: bool = False) -> IndexRun:
        async with self.sessions.begin() as session:
            return await IndexRunService(session, lambda: self.now).request(RECONCILE, since, force)

    async def add(self, kind: IndexRunKind = RECONCILE) -> IndexRun:
        async with self.sessions.begin() as session:
            return await IndexRunService(session, lambda: self.now).add(kind)

    async def claim(self, run: IndexRun, owner: str) -> IndexRun:
        async with self.sessions.begin() as session:
            return await IndexRunService(session, lambda: self.now).claim(run.id, owner)

    async def report(
        self, run: IndexRun, owner: str, status: IndexRunStatus = IndexRunStatus.RUNNING, **counts: int
    ) -> IndexRun:
        reason = "The index cannot be reached." if status is IndexRunStatus.FAILED else None
        progress = IndexRunProgress(owner=owner, status=status, reason=reason, **counts)
        async with self.sessions.begin() as session:
            return await IndexRunService(session, lambda: self.now).report(run.id, progress)

    async def due(self) -> list[int]:
        """Return the runs whose message is due."""
        async with self.sessions.begin() as session:
            return [run.id for run in await IndexRunRepository(session).claim_due(self.now, self.now + AGAIN)]


@pytest.fixture
def runs(sessions: SessionFactory) -> Runs:
    return Runs(sessions)


async def test_a_run_from_the_request_to_its_end(client: httpx.AsyncClient) -> None:
    asked = await client.post(f"{INDEX}/sync", json={"since": "2026-03-01T13:00:00+01:00", "force": True})
    run = asked.json()
    assert asked.status_code == 202
    assert (run["kind"], run["status"], run["since"], run["force"]) == (
        "reconcile",
        "queued",
        "2026-03-01T12:00:00Z",
        True,
    )
    claimed = (await client.post(f"{INTERNAL}/runs/{run['id']}/claim", json={"owner": "w1"})).json()
    assert (claimed["status"], claimed["started_at"] is None) == ("running", False)

    counts = {"checked": 10, "missing": 1, "stale": 2, "orphaned": 3, "repaired": 6}
    path = f"{INTERNAL}/runs/{run['id']}/progress"
    over = {"owner": "w1", "status": "done", **counts}
    assert (await client.put(path, json={"owner": "w1", "status": "running", "checked": 5})).json()["checked"] == 5
    for _ in range(2):  # an answer can be lost, and the report then comes again
        done = (await client.put(path, json=over)).json()
        assert (done["status"], {name: done[name] for name in counts}) == ("done", counts)
    assert done["finished_at"] is not None
    assert (await client.get(f"{INDEX}/runs/{run['id']}")).json() == done


async def test_runs_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    first = (await client.post(f"{INDEX}/sync", json={})).json()["id"]
    second = (await client.post(f"{INDEX}/rebuild")).json()["id"]
    added = await client.post(f"{INTERNAL}/runs", json={"kind": "reconcile"})

    assert (added.status_code, added.json()["id"]) == (201, first), "one that waits is enough"
    listed = (await client.get(f"{INDEX}/runs")).json()["items"]
    assert [(run["id"], run["kind"]) for run in listed] == [(second, "rebuild"), (first, "reconcile")]
    assert len((await client.get(f"{INDEX}/runs", params={"limit": 1})).json()["items"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "runs/424242", None, 404),
        ("POST", "runs/424242/claim", {"owner": "w1"}, 404),
        ("PUT", "runs/424242/progress", {"owner": "w1", "status": "running"}, 404),
        ("POST", "runs/424242/claim", {"owner": ""}, 422),
        ("PUT", "runs/424242/progress", {"owner": "w1", "status": "queued"}, 422),
        ("PUT", "runs/424242/progress", {"owner": "w1", "status": "failed"}, 422),
        ("POST", "runs", {"kind": "other"}, 422),
        ("POST", "sync", {"since": "0001-01-01T00:00:00+10:00"}, 422),
        ("POST", "sync", {"since": "2026-03-01T00:00:00"}, 422),
        ("GET", "runs/0", None, 400),
        ("GET", "runs?limit=0", None, 400),
    ],
)
async def test_what_cannot_be_done_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int
) -> None:
    prefix = INTERNAL if path.startswith("runs") and method != "GET" else INDEX
    answer = await client.request(method, f"{prefix}/{path}", json=body)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_somebody_elses_run_is_a_conflict_that_says_so(client: httpx.AsyncClient) -> None:
    run = (await client.post(f"{INDEX}/sync", json={})).json()["id"]
    other = (await client.post(f"{INDEX}/rebuild")).json()["id"]
    await client.post(f"{INTERNAL}/runs/{run}/claim", json={"owner": "w1"})

    for path in (f"runs/{run}/claim", f"runs/{other}/claim"):
        refused = await client.post(f"{INTERNAL}/{path}", json={"owner": "w2"})
        assert (refused.status_code, f"run {run} is running" in refused.json()["detail"]) == (409, True)
    report = await client.put(f"{INTERNAL}/runs/{run}/progress", json={"owner": "w2", "status": "done"})
    assert report.status_code == 409


async def test_the_examples_of_the_document_are_accepted(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    run = (await client.post(f"{INDEX}/sync", json={})).json()["id"]
    for path, method in (
        (f"{INDEX}/sync", "post"),
        (f"{INTERNAL}/runs", "post"),
        (f"{INDEX}/queue", "post"),
        (f"{INTERNAL}/runs/{{run_id}}/claim", "post"),
        (f"{INTERNAL}/runs/{{run_id}}/progress", "put"),
    ):
        content = paths[path][method]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            target = path.format(run_id=run)
            assert (await client.request(method, target, json=example["value"])).is_success, path


async def test_requesting_a_queued_run_sends_its_message_again_and_adds_no_second_run(runs: Runs) -> None:
    first = await runs.request()
    assert await runs.due() == [first.id]
    assert await runs.due() == []

    assert (await runs.request()).id == first.id
    assert await runs.due() == [first.id]
    assert (await runs.request(force=True)).id != first.id
    assert (await runs.request(since=NOW)).id != first.id
    await runs.claim(first, "w1")
    assert (await runs.request()).id > first.id, "what has begun may have passed over what the request is about"


async def test_the_worker_gets_messages_about_a_run_until_it_has_finished(runs: Runs) -> None:
    run = await runs.request()
    for _ in range(3):  # the queue can lose a message
        assert await runs.due() == [run.id]
        runs.now += AGAIN
    await runs.claim(run, "w1")
    assert await runs.due() == [], "its holder lives"
    runs.now += LEASE
    assert await runs.due() == [run.id], "its holder is dead"
    await runs.claim(run, "w2")
    await runs.report(run, "w2", IndexRunStatus.FAILED)
    runs.now += timedelta(days=1)
    assert await runs.due() == []


async def test_a_run_that_its_creator_does_not_claim_is_sent(runs: Runs) -> None:
    run = await runs.add()
    assert await runs.due() == []
    runs.now += LEASE
    assert await runs.due() == [run.id]


async def test_the_next_run_is_sent_as_soon_as_one_has_finished(runs: Runs) -> None:
    first, second, third = await runs.request(), await runs.request(force=True), await runs.add(IndexRunKind.REBUILD)
    assert await runs.due() == [first.id, second.id]
    await runs.claim(first, "w1")
    with pytest.raises(LeaseConflictError):
        await runs.claim(second, "w2")
    assert await runs.due() == []

    await runs.report(first, "w1", IndexRunStatus.DONE)

    assert await runs.due() == [second.id]
    await runs.claim(second, "w2")
    await runs.report(second, "w2", IndexRunStatus.DONE)
    assert await runs.due() == [third.id]


async def test_a_lease_survives_its_holder_and_then_passes_on(runs: Runs) -> None:
    run, other = await runs.request(), await runs.request(force=True)
    await runs.claim(run, "w1")
    await runs.report(run, "w1", checked=5)
    runs.now += LEASE - timedelta(microseconds=1)
    with pytest.raises(LeaseConflictError):
        await runs.claim(run, "w2")
    with pytest.raises(LeaseConflictError):
        await runs.claim(other, "w2")
    runs.now += timedelta(microseconds=1)

    taken = await runs.claim(run, "w2")

    assert (taken.status, taken.started_at, taken.checked) == (IndexRunStatus.RUNNING, runs.now, 0)
    for status in (IndexRunStatus.RUNNING, IndexRunStatus.DONE):
        with pytest.raises(LeaseConflictError):
            await runs.report(run, "w1", status)


async def test_a_holder_with_an_expired_lease_continues_unless_another_run_has_started(runs: Runs) -> None:
    run, other = await runs.request(), await runs.request(force=True)
    await runs.claim(run, "w1")
    runs.now += 2 * LEASE
    assert (await runs.report(run, "w1", checked=7)).checked == 7
    assert (await runs.claim(run, "w1")).checked == 7, "asked again, since the answer was lost"
    runs.now += 2 * LEASE
    await runs.claim(other, "w2")
    with pytest.raises(LeaseConflictError):
        await runs.report(run, "w1", checked=8)


async def test_a_finished_run_stays_finished(runs: Runs) -> None:
    run = await runs.request()
    await runs.claim(run, "w1")
    failed = await runs.report(run, "w1", IndexRunStatus.FAILED, checked=3)
    assert failed.reason == "The index cannot be reached."
    other = await runs.request()
    await runs.claim(other, "w1")

    assert await runs.report(run, "w1", IndexRunStatus.FAILED, checked=3) == failed
    for status in (IndexRunStatus.RUNNING, IndexRunStatus.DONE):
        with pytest.raises(LeaseConflictError):
            await runs.report(run, "w1", status)
    with pytest.raises(LeaseConflictError, match="has finished"):
        await runs.claim(run, "w1")


async def test_of_many_claims_at_once_one_succeeds(runs: Runs, database: DatabaseSettings) -> None:
    waiting = [await runs.request(since=NOW + timedelta(hours=hour)) for hour in range(6)]
    engine = make_engine(database)
    rivals = Runs(make_session_factory(engine))
    try:
        claims = (runs_.claim(run, f"w{number}") for number, run in enumerate(waiting) for runs_ in (runs, rivals))
        answers = await asyncio.gather(*claims, return_exceptions=True)
    finally:
        await engine.dispose()

    taken = {answer.id for answer in answers if isinstance(answer, IndexRun)}
    assert len(taken) == 1
    assert all(isinstance(answer, IndexRun | LeaseConflictError) for answer in answers)


async def test_several_relays_do_not_send_the_same_run(runs: Runs, sessions: SessionFactory) -> None:
    ids = [(await runs.request(since=NOW + timedelta(hours=hour))).id for hour in range(8)]

    async def take() -> list[DueRun]:
        async with sessions.begin() as session:
            return await IndexRunRepository(session).claim_due(NOW, NOW + AGAIN)

    taken = await asyncio.gather(*(take() for _ in range(6)))

    assert sorted(run.id for some in taken for run in some) == ids
