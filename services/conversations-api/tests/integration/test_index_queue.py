"""The index states over HTTP, and queueing for indexing."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from conversations_api.settings import Settings
from conversations_api.units import service
from mh_common.jobs import IndexJob
from mh_common.models import INTERNAL_INDEX
from mh_common.units import conversation_unit
from mh_devtools.testing.fixtures import RunApp, RunQuery

PATH = "/api/v1/conversations"
INDEX = "/api/v1/index"
CONTENT = {"question": "q", "answer": "a", "question_sentiment": "neutral", "answer_sentiment": "positive"}


@pytest.fixture
async def quiet(
    settings: Settings, run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """The application with a relay that publishes nothing, so that the outbox can be inspected."""

    async def claims_nothing(*_: object) -> list[Any]:
        return []

    monkeypatch.setattr("conversations_api.outbox.repository.OutboxRepository.claim", claims_nothing)
    # Started after that: a claim that has begun would take what is written later.
    async with run_app(settings) as client:
        yield client


async def create(client: httpx.AsyncClient, count: int) -> list[int]:
    answer = await client.post(f"{PATH}/bulk", json={"items": [CONTENT] * count})
    return [int(key) for key in answer.json()["ids"]]


async def report(client: httpx.AsyncClient, ids: list[int], reason: str | None = None) -> None:
    status = {"status": "indexed"} if reason is None else {"status": "failed", "reason": reason}
    outcomes = [{**conversation_unit(key)._asdict(), "version": 1, **status} for key in ids]
    assert (await client.post(f"{INTERNAL_INDEX}/reports", json={"outcomes": outcomes})).status_code == 200


async def summary(client: httpx.AsyncClient) -> Any:
    return (await client.get(f"{INDEX}/summary")).json()


async def owed(query: RunQuery) -> list[tuple[Any, ...]]:
    return await query("SELECT job, source_id FROM index_outbox ORDER BY id")


async def test_an_empty_summary_names_everything(client: httpx.AsyncClient) -> None:
    assert await summary(client) == {
        "total": 0,
        "pending": 0,
        "indexed": 0,
        "failed": 0,
        "oldest_pending_at": None,
        "lag_seconds": 0.0,
        "outbox_depth": 0,
        "oldest_outbox_at": None,
        "failures": [],
    }


async def test_the_summary_counts_states_reasons_and_the_outbox(quiet: httpx.AsyncClient, query: RunQuery) -> None:
    ids = await create(quiet, 7)
    await report(quiet, ids[:2])
    await report(quiet, ids[2:4], "The embedder refused the text.")
    await report(quiet, ids[4:5], "The vector has the wrong length.")
    # Written by somebody who knows nothing of states: it waits as well.
    await query("DELETE FROM index_states WHERE source_id = :id", id=ids[6])

    found = await summary(quiet)

    assert (found["total"], found["pending"], found["indexed"], found["failed"]) == (7, 2, 2, 3)
    assert found["failures"] == [
        {"reason": "The embedder refused the text.", "count": 2},
        {"reason": "The vector has the wrong length.", "count": 1},
    ]
    assert found["outbox_depth"] == 7
    assert found["oldest_outbox_at"] is not None
    waiting = (await quiet.get(f"{PATH}/{ids[5]}/index-state")).json()
    assert found["oldest_pending_at"] == waiting["queued_at"]
    assert found["lag_seconds"] > 0


async def test_the_summary_names_the_twenty_most_frequent_reasons(client: httpx.AsyncClient) -> None:
    ids = await create(client, 23)
    for number, key in enumerate(ids[:22]):
        await report(client, [key], f"Reason {number:02}.")
    await report(client, ids[22:], "Reason 21.")

    found = (await summary(client))["failures"]

    assert len(found) == 20
    assert found[0] == {"reason": "Reason 21.", "count": 2}


async def test_failures_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    ids = await create(client, 6)
    await report(client, ids[:1])
    await report(client, ids[1:], "The embedder refused the text.")

    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get(f"{INDEX}/failures", params={"limit": 2, **cursor})).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert [item["conversation_id"] for item in seen] == ids[1:]
    assert {item["reason"] for item in seen} == {"The embedder refused the text."}
    assert {(item["status"], item["version"]) for item in seen} == {("failed", 1)}


@pytest.mark.parametrize(
    "query",
    [
        "failures?cursor=x",
        "failures?limit=0",
        "versions?kind=conversation&limit=5001",
        "versions?kind=conversation&since=5",
    ],
)
async def test_parameters_that_make_no_sense_are_400(client: httpx.AsyncClient, query: str) -> None:
    prefix = INTERNAL_INDEX if query.startswith("versions") else INDEX
    answer = await client.get(f"{prefix}/{query}")

    assert answer.status_code == 400
    assert answer.json()["errors"]


async def test_what_is_queued_is_updated_or_deleted_in_the_index(quiet: httpx.AsyncClient, query: RunQuery) -> None:
    ids = await create(quiet, 3)
    await report(quiet, ids)
    await query("DELETE FROM index_outbox")
    await query("DELETE FROM index_states WHERE source_id = :id", id=ids[2])
    before = await query("SELECT updated_at FROM mental_health_conversations ORDER BY id")

    answer = await quiet.post(f"{INDEX}/queue", json={"ids": [ids[2], 424242, ids[0], ids[0]]})

    assert (answer.status_code, answer.json()) == (202, {"queued": 3})
    assert await owed(query) == [
        (IndexJob.UPDATED, ids[0]),
        (IndexJob.UPDATED, ids[2]),
        (IndexJob.DELETED, 424242),
    ]
    states = await query("SELECT source_id, status, indexed_version FROM index_states ORDER BY source_id")
    assert states == [(ids[0], "pending", 1), (ids[1], "indexed", 1), (ids[2], "pending", None)]
    assert await query("SELECT updated_at FROM mental_health_conversations ORDER BY id") == before


async def test_a_conversation_written_directly_to_the_database_can_be_indexed(
    quiet: httpx.AsyncClient, query: RunQuery
) -> None:
    (key,) = await create(quiet, 1)
    await query("DELETE FROM index_states")
    await quiet.post(f"{INDEX}/queue", json={"ids": [key]})
    await report(quiet, [key])

    assert (await quiet.get(f"{PATH}/{key}")).json()["index_status"] == "indexed"


@pytest.mark.parametrize("body", [{"ids": []}, {"ids": [0]}, {"ids": list(range(1, 1002))}, {}])
async def test_one_to_a_thousand_are_queued_at_once(client: httpx.AsyncClient, body: Any) -> None:
    assert (await client.post(f"{INDEX}/queue", json=body)).status_code == 422


async def test_a_failed_conversation_is_retried_on_demand(quiet: httpx.AsyncClient, query: RunQuery) -> None:
    (key,) = await create(quiet, 1)
    await report(quiet, [key], "The embedder refused the text.")
    await query("DELETE FROM index_outbox")

    answer = await quiet.post(f"{PATH}/{key}/reindex")

    assert answer.status_code == 202
    state = answer.json()
    assert (state["status"], state["reason"], state["attempts"]) == ("pending", None, 0)
    assert await owed(query) == [(IndexJob.UPDATED, key)]
    assert (await quiet.post(f"{PATH}/424242/reindex")).status_code == 404
    assert await owed(query) == [(IndexJob.UPDATED, key)]


async def test_retry_queues_all_that_failed_and_nothing_else(
    quiet: httpx.AsyncClient, query: RunQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_BULK_ROWS", 2)
    ids = await create(quiet, 7)
    await report(quiet, ids[:1])
    await report(quiet, ids[1:6], "The embedder refused the text.")
    await query("DELETE FROM index_outbox")

    answer = await quiet.post(f"{INDEX}/retry")

    assert (answer.status_code, answer.json()) == (202, {"queued": 5})
    assert await owed(query) == [(IndexJob.UPDATED, key) for key in ids[1:6]]
    assert (await summary(quiet))["failed"] == 0
    assert (await quiet.post(f"{INDEX}/retry")).json() == {"queued": 0}


def after(page: dict[str, Any]) -> dict[str, int]:
    """Return the parameters of the next page."""
    return {"after": page["next_after"]["source_id"], "after_ordinal": page["next_after"]["ordinal"]}


async def test_versions_are_listed_by_key_with_their_states(client: httpx.AsyncClient, query: RunQuery) -> None:
    ids = await create(client, 5)
    await client.patch(f"{PATH}/{ids[1]}", json={"answer": "b"})
    await client.delete(f"{PATH}/{ids[2]}")
    await report(client, ids[:1])
    await query("DELETE FROM index_states WHERE source_id = :id", id=ids[4])

    asked: dict[str, str | int] = {"kind": "conversation", "limit": 2}
    first = (await client.get(f"{INTERNAL_INDEX}/versions", params=asked)).json()
    rest = (await client.get(f"{INTERNAL_INDEX}/versions", params={**asked, **after(first)})).json()

    items = first["items"] + rest["items"]
    assert [(item["source_id"], item["version"], item["status"]) for item in items] == [
        (ids[0], 1, "indexed"),
        (ids[1], 2, "pending"),
        (ids[3], 1, "pending"),
        (ids[4], 1, "pending"),
    ]
    assert (first["next_after"]["source_id"], rest["next_after"]) == (ids[1], None)
    assert items[3]["queued_at"] == "1970-01-01T00:00:00Z"


async def test_versions_since_a_time_are_those_changed_from_then_on(client: httpx.AsyncClient) -> None:
    ids = await create(client, 3)
    changed = (await client.patch(f"{PATH}/{ids[1]}", json={"answer": "b"})).json()["updated_at"]

    found = (await client.get(f"{INTERNAL_INDEX}/versions", params={"kind": "conversation", "since": changed})).json()

    assert [item["source_id"] for item in found["items"]] == [ids[1]]
