"""Query history: stored once, visible only to its user, rated, permanently deleted, purged, turned off."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from conversations_api import purge as purging
from conversations_api.database import SessionFactory
from conversations_api.history.repository import HistoryRepository, Owner
from conversations_api.purge import PURGE_FAILED, purge, purge_regularly
from conversations_api.settings import Settings
from mh_common.models import INTERNAL_HISTORY, HistoryEntryCreate
from mh_common.settings import HistorySettings
from mh_devtools.testing.fixtures import RunApp
from mh_devtools.testing.waiting import eventually, until_logged
from structlog.testing import capture_logs

PATH = "/api/v1/history"
TOLD = INTERNAL_HISTORY
ALICE, BOB = {"X-User-Id": "alice"}, {"X-User-Id": "bob"}
# Where no statement is sent, one database tells it all.
ON_SQLITE = pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)


def new(user_id: str | None = "alice", **fields: Any) -> dict[str, Any]:
    return {
        "answer_id": str(uuid.uuid4()),
        "user_id": user_id,
        "question": "How do I help a patient who panics? 🙂",
        "standalone_query": "panic attacks on the bus",
        "filters": {"question_sentiment": ["negative"], "created_after": "2026-03-01T00:00:00Z"},
        "hits": [{"id": 17, "version": 2, "score": 0.781204}, {"id": 3, "version": 1, "score": 0.1 + 0.2}],
        "answer": "Breathe slowly [1].",
        "model": "gpt-4o-mini",
        "prompt_version": "answer-1",
        "usage": {"prompt_tokens": 612, "completion_tokens": 48, "total_tokens": 660},
        "latency_ms": 1840.123456789,
        "risk_level": "acute",
        "risk_categories": ["suicide", "overdose"],
        "withheld": "unsafe_advice",
        **fields,
    }


def rating(path: str) -> str:
    """Return the path for feedback on the entry at this path."""
    return f"{path.replace(PATH, TOLD)}/feedback"


async def stored(client: httpx.AsyncClient, user_id: str | None = "alice", **fields: Any) -> str:
    """Store an entry and return its path."""
    entry = new(user_id, **fields)
    assert (await client.post(TOLD, json=entry)).status_code == 201
    return f"{PATH}/{entry['answer_id']}"


async def listed(client: httpx.AsyncClient, user: dict[str, str]) -> list[str]:
    page = (await client.get(PATH, headers=user)).json()
    return [f"{PATH}/{item['answer_id']}" for item in page["items"]]


async def test_an_entry_is_returned_as_it_was_stored(client: httpx.AsyncClient) -> None:
    entry = new()
    created = await client.post(TOLD, json=entry)
    assert created.status_code == 201
    kept = created.json()
    assert kept == {**entry, "created_at": kept["created_at"], "feedback": None}
    assert (await client.get(f"{PATH}/{entry['answer_id']}", headers=ALICE)).json() == kept
    assert (await client.get(PATH, headers=ALICE)).json() == {"items": [kept], "next_cursor": None}


async def test_what_may_be_left_out(client: httpx.AsyncClient) -> None:
    least = {"answer_id": str(uuid.uuid4()), "question": "q", "answer": "", "model": "none", "latency_ms": 0}
    kept = (await client.post(TOLD, json=least)).json()
    assert (kept["user_id"], kept["filters"], kept["hits"], kept["usage"]["total_tokens"]) == (None, {}, [], 0)
    assert (kept["risk_level"], kept["risk_categories"], kept["withheld"]) == (None, [], None)


async def test_the_same_answer_again_is_stored_once(client: httpx.AsyncClient, row_counts: Any) -> None:
    entry = new()
    first = await client.post(TOLD, json=entry)
    await client.put(f"{TOLD}/{entry['answer_id']}/feedback", json={"rating": "up"}, headers=ALICE)
    again = await client.post(TOLD, json={**entry, "answer_id": entry["answer_id"].upper()})
    assert again.status_code == 200
    assert {**again.json(), "feedback": None} == first.json()
    assert again.json()["feedback"]["rating"] == "up"
    refused = await client.post(TOLD, json={**entry, "answer": "Another one."})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert (await row_counts())["query_history"] == 1


async def test_concurrent_requests_store_it_once(client: httpx.AsyncClient, row_counts: Any) -> None:
    entry = new()
    answers = await asyncio.gather(*(client.post(TOLD, json=entry) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert (await row_counts())["query_history"] == 1


async def test_a_user_sees_and_changes_their_own_entries_only(client: httpx.AsyncClient) -> None:
    hers, his = await stored(client, "alice"), await stored(client, "bob")
    await stored(client, "ALICE")
    await stored(client, None)
    assert (await listed(client, ALICE), await listed(client, BOB)) == ([hers], [his])
    for user in (BOB, {}, {"X-User-Id": "Alice"}):
        for method, path, body in (
            ("GET", hers, None),
            ("PUT", rating(hers), {"rating": "down"}),
            ("DELETE", hers, None),
        ):
            refused = await client.request(method, path, json=body, headers=user)
            assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
    kept = await client.get(hers, headers=ALICE)
    assert (kept.status_code, kept.json()["feedback"]) == (200, None)


@pytest.mark.parametrize("user", [{}, ALICE])
async def test_an_entry_without_a_user_belongs_to_whoever_knows_its_id(
    client: httpx.AsyncClient, user: dict[str, str]
) -> None:
    path = await stored(client, None)
    assert (await client.get(path, headers=user)).status_code == 200
    assert (await client.put(rating(path), json={"rating": "up"}, headers=user)).status_code == 200
    assert (await client.delete(path, headers=user)).status_code == 204
    assert (await client.get(path, headers=user)).status_code == 404


async def test_pages_are_newest_first(client: httpx.AsyncClient) -> None:
    paths = [await stored(client) for _ in range(5)]
    found, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(PATH, params=params, headers=ALICE)).json()
        found += [f"{PATH}/{item['answer_id']}" for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await stored(client)  # one that comes meanwhile moves nothing
    assert found == paths[::-1]


async def test_feedback_takes_the_place_of_earlier_feedback(client: httpx.AsyncClient) -> None:
    path = await stored(client)
    first = await client.put(rating(path), json={"rating": "up", "comment": "  Good.  "}, headers=ALICE)
    assert (first.status_code, first.json()["rating"], first.json()["comment"]) == (200, "up", "Good.")
    assert (await client.get(path, headers=ALICE)).json()["feedback"] == first.json()
    second = await client.put(rating(path), json={"rating": "down"}, headers=ALICE)
    assert (await client.get(path, headers=ALICE)).json()["feedback"] == second.json()
    assert (second.json()["rating"], second.json()["comment"]) == ("down", None)


async def test_feedback_on_the_notice_of_risk_stands_beside_the_rating(client: httpx.AsyncClient) -> None:
    path = await stored(client)

    async def give(**feedback: str) -> tuple[str | None, str | None, str | None]:
        response = await client.put(rating(path), json=feedback, headers=ALICE)
        assert response.status_code == 200, response.text
        kept = (await client.get(path, headers=ALICE)).json()["feedback"]
        assert kept == response.json()
        return kept["rating"], kept["comment"], kept["risk_notice"]

    assert await give(risk_notice="not_relevant") == (None, None, "not_relevant")
    assert await give(rating="up", comment="Good.") == ("up", "Good.", "not_relevant")
    assert await give(risk_notice="missing") == ("up", "Good.", "missing")
    assert await give(risk_notice="relevant", comment="Better so.") == ("up", "Better so.", "relevant")
    assert await give(rating="down") == ("down", None, "relevant")
    for nothing in ({}, {"comment": "Only words."}, {"risk_notice": "perhaps"}):
        assert (await client.put(rating(path), json=nothing, headers=ALICE)).status_code == 422


async def test_deleting_leaves_nothing(client: httpx.AsyncClient, row_counts: Any) -> None:
    first, second, third = [await stored(client) for _ in range(3)]
    his = await stored(client, "bob")
    assert (await client.delete(second, headers=ALICE)).status_code == 204
    assert (await client.delete(second, headers=ALICE)).status_code == 404
    assert await listed(client, ALICE) == [third, first]
    assert (await client.delete(PATH, headers=ALICE)).json() == {"deleted": 2}
    assert (await client.delete(PATH, headers=ALICE)).json() == {"deleted": 0}
    assert await listed(client, BOB) == [his]
    assert (await row_counts())["query_history"] == 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "target", "headers", "field"),
    [
        ("GET", "", {}, "x-user-id"),
        ("DELETE", "", {}, "x-user-id"),
        ("GET", "", {"X-User-Id": "two words"}, "x-user-id"),
        ("GET", "", {"X-User-Id": "x" * 129}, "x-user-id"),
        ("GET", "", {"X-User-Id": b"\xe9"}, "x-user-id"),
        ("GET", "?limit=101", ALICE, "limit"),
        ("GET", "?cursor=x", ALICE, "cursor"),
        ("GET", "/17", ALICE, "answer_id"),
        ("DELETE", "/17", ALICE, "answer_id"),
    ],
)
async def test_bad_parameters_are_bad_requests(
    client: httpx.AsyncClient, method: str, target: str, headers: dict[str, Any], field: str
) -> None:
    refused = await client.request(method, f"{PATH}{target}", headers=headers)
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    assert refused.json()["errors"][0]["field"].lower() == field


@ON_SQLITE
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"answer_id": "17"}, "must be a UUID"),
        ({"user_id": "two words"}, "should match pattern"),
        ({"question": " "}, "at least 1 character"),
        ({"question": "x" * 8001}, "at most 8000 characters"),
        ({"answer": "x" * 200_001}, "at most 200000 characters"),
        ({"answer": "\x00"}, "NUL"),
        ({"filters": {"ids": list(range(20_000))}}, "at most 65,536 bytes of JSON"),
        ({"hits": [{"id": 1, "version": 1, "score": 0.5}] * 101}, "at most 100 members"),
        ({"hits": [{"id": 1, "version": 1, "score": 1.5}]}, "less than or equal to 1"),
        ({"latency_ms": -1}, "greater than or equal to 0"),
        ({"feedback": None}, "is unknown"),
    ],
)
async def test_an_invalid_entry_is_rejected_with_the_reason_and_without_its_text(
    client: httpx.AsyncClient, fields: dict[str, Any], words: str
) -> None:
    with capture_logs() as logs:
        refused = await client.post(TOLD, json=new(**fields))
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert words in refused.text
    assert "xxx" not in refused.text
    assert "patient" not in refused.text + str(logs)


@ON_SQLITE
@pytest.mark.parametrize("body", [{}, {"rating": "meh"}, {"rating": "up", "comment": ""}, {"rating": "up", "user": 1}])
async def test_invalid_feedback_is_rejected(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    refused = await client.put(rating(await stored(client)), json=body, headers=ALICE)
    assert refused.status_code == 422


async def test_no_text_and_no_user_is_logged(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        path = await stored(client)
        await client.put(rating(path), json={"rating": "down", "comment": "wrong pills"}, headers=ALICE)
        await client.get(PATH, headers=ALICE)
    assert len(logs) >= 3
    assert not any(word in str(logs) for word in ("panics", "Breathe", "alice", "pills", path[-36:]))


async def test_turned_off_nothing_is_stored_or_shown_and_deleting_works(
    client: httpx.AsyncClient, run_app: RunApp, settings: Settings, row_counts: Any
) -> None:
    first, _, _ = [await stored(client) for _ in range(3)]
    off = settings.model_copy(update={"history": HistorySettings(enabled=False)})
    async with run_app(off) as turned_off:
        for method, path, body in (
            ("POST", TOLD, new()),
            ("GET", PATH, None),
            ("GET", first, None),
            ("PUT", rating(first), {"rating": "up"}),
        ):
            refused = await turned_off.request(method, path, json=body, headers=ALICE)
            assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
            assert "HISTORY_ENABLED" in refused.json()["detail"]
        assert (await row_counts())["query_history"] == 3
        assert (await turned_off.delete(first, headers=ALICE)).status_code == 204
        assert (await turned_off.delete(PATH, headers=ALICE)).json() == {"deleted": 2}


async def test_the_examples_of_the_document_are_accepted(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    bodies = {
        path: list(operation["requestBody"]["content"]["application/json"]["examples"].values())
        for path, operation in (
            (TOLD, paths[TOLD]["post"]),
            ("feedback", paths[f"{TOLD}/{{answer_id}}/feedback"]["put"]),
        )
    }
    for example in bodies[TOLD]:
        entry = (await client.post(TOLD, json=example["value"])).json()
        for feedback in bodies["feedback"]:
            path = f"{TOLD}/{entry['answer_id']}/feedback"
            user = {"X-User-Id": entry["user_id"]}
            assert (await client.put(path, json=feedback["value"], headers=user)).status_code == 200


async def add_at(sessions: SessionFactory, moments: list[datetime]) -> None:
    async with sessions.begin() as session:
        for moment in moments:
            await HistoryRepository(session).add(HistoryEntryCreate.model_validate(new()), Owner(), moment)


async def test_the_purge_deletes_what_is_older_in_chunks(
    sessions: SessionFactory, row_counts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "CHUNK", 2)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    await add_at(sessions, [now - timedelta(days=age) for age in (1, 2, 3, 4, 5, 6)])
    assert await purge(sessions, HistoryRepository, now - timedelta(days=2)) == 4
    assert (await row_counts())["query_history"] == 2
    assert await purge(sessions, HistoryRepository, now - timedelta(days=2)) == 0


@pytest.mark.usefixtures("purged_at_once")
async def test_the_application_purges_by_its_retention_also_when_turned_off(
    run_app: RunApp, settings: Settings, sessions: SessionFactory, row_counts: Any
) -> None:
    now = datetime.now(UTC)
    await add_at(sessions, [now - timedelta(days=8), now - timedelta(days=6)])
    history = HistorySettings(enabled=False, retention_days=7)

    async def one_is_left() -> bool:
        counts: dict[str, int] = await row_counts()
        return counts.get("query_history") == 1

    async with run_app(settings.model_copy(update={"history": history})):
        await eventually(one_is_left)


@pytest.mark.usefixtures("purged_at_once")
async def test_the_next_round_catches_up_after_a_failure(
    sessions: SessionFactory, row_counts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_at(sessions, [datetime.now(UTC) - timedelta(days=8)])

    async def fail(_: HistoryRepository, __: datetime, ___: int) -> int:
        raise RuntimeError

    async def none_is_left() -> bool:
        return "query_history" not in await row_counts()

    with capture_logs() as logs, monkeypatch.context() as broken:
        broken.setattr(HistoryRepository, "delete_before", fail)
        task = asyncio.create_task(purge_regularly(sessions, HistoryRepository, timedelta(days=7), interval=0.01))
        await until_logged(logs, PURGE_FAILED)
    await eventually(none_is_left)
    task.cancel()
    await asyncio.wait([task])
