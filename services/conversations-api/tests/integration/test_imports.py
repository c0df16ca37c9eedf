"""Bulk requests of imports: duplicates, tags, and taking an import back."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from conversations_api.conversations import completion
from conversations_api.conversations.completion import complete
from conversations_api.conversations.duplicates import LOCK_LIFETIME, ImportLockRepository
from conversations_api.conversations.import_service import ImportService
from conversations_api.database import SessionFactory
from conversations_api.purge import purge
from conversations_api.settings import Settings
from mh_common.models import BulkCreate
from mh_common.text import content_hash
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.responses import assert_problem
from mh_devtools.testing.waiting import eventually
from sqlalchemy import Engine, event

PATH = "/api/v1/conversations"
TABLE = "mental_health_conversations"
# SQLite has one writer at a time.
beside_other_writers = pytest.mark.parametrize(
    "migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True
)


def row(question: str, answer: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "question": question,
        "answer": answer,
        "question_sentiment": "neutral",
        "answer_sentiment": "neutral",
        **more,
    }


async def bulk(client: httpx.AsyncClient, *rows: dict[str, Any], **options: Any) -> tuple[list[int], list[str]]:
    """Send rows; return the ids and the outcomes."""
    answer = await client.post(f"{PATH}/bulk", json={"items": rows, **options})
    assert answer.status_code == (200 if options.get("dry_run") else 201), answer.text
    return answer.json()["ids"], answer.json()["outcomes"]


async def listed(client: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    answer = await client.get(PATH, params={"limit": 200, **filters})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def undo(client: httpx.AsyncClient, tag: str, **options: Any) -> dict[str, Any]:
    answer = await client.post(f"{PATH}/undo-import", json={"import_tag": tag, **options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_is_there_is_skipped_or_added_once_more(client: httpx.AsyncClient, query: RunQuery) -> None:
    [first], outcomes = await bulk(client, row("q"))
    assert outcomes == ["added"]
    ids, outcomes = await bulk(client, row("q", category="x"), row("p"), row("p"), on_duplicate="skip")
    assert (ids[0], outcomes) == (first, ["skipped", "added", "skipped"])
    assert ids[1] == ids[2]
    assert [one["category"] for one in await listed(client)] == [None, None]
    _, outcomes = await bulk(client, row("q"), row("p"), on_duplicate="add")
    assert outcomes == ["added", "added"]
    assert len(await listed(client)) == 4
    # Every row that was added is indexed, and no other.
    assert await query("SELECT count(*) FROM index_states") == [(4,)]


async def test_what_counts_as_the_same(client: httpx.AsyncClient) -> None:
    await bulk(client, row("Je suis fatigu\u00e9e\nencore", "Repos"))
    same = [
        row("Je suis fatigue\u0301e\nencore", "Repos"),
        row("  Je suis fatigu\u00e9e\r\nencore ", "Repos\n"),
        row("Je suis fatigu\u00e9e\rencore", "\tRepos"),
    ]
    for one in same:
        assert (await bulk(client, one, on_duplicate="skip"))[1] == ["skipped"], one
    others = [
        row("je suis fatigu\u00e9e\nencore", "Repos"),
        row("Je suis fatigu\u00e9e encore", "Repos"),
        row("Je suis fatiguee\nencore", "Repos"),
        row("<p>Je suis fatigu\u00e9e<br>encore</p>", "Repos"),
        row("Je suis fatigu\u00e9e\nencor", "eRepos"),
    ]
    assert (await bulk(client, *others, on_duplicate="skip"))[1] == ["added"] * 5


async def test_an_update_makes_a_new_version_only_of_what_differs(client: httpx.AsyncClient, query: RunQuery) -> None:
    ids, _ = await bulk(client, row("a", category="sleep", author="Jane"), row("b"), row("c", category="x"))
    await query("UPDATE index_states SET status = 'indexed', indexed_version = 1")
    given = [
        row("a", question_sentiment="negative", category="panic", source_date="2021-01-01"),
        row("b"),
        row("c"),
        row("d", source_url="https://example.org/1"),
    ]
    new_ids, outcomes = await bulk(client, *given, on_duplicate="update")
    assert (outcomes, new_ids[:3]) == (["updated", "skipped", "skipped", "added"], ids)
    first, second, third, fourth = await listed(client)
    shown = ("version", "question_sentiment", "category", "author", "source_date", "index_status")
    assert [first[name] for name in shown] == [2, "negative", "panic", "Jane", "2021-01-01", "pending"]
    assert first["updated_at"] > first["created_at"]
    assert (second["version"], third["version"], third["category"]) == (1, 1, "x")
    assert fourth["source_url"] == "https://example.org/1"
    assert [one["index_status"] for one in (second, third, fourth)] == ["indexed", "indexed", "pending"]
    assert (await bulk(client, *given, on_duplicate="update"))[1] == ["skipped"] * 4


async def test_a_thousand_rows_are_updated_in_few_statements(
    client: httpx.AsyncClient, sessions: SessionFactory, query: RunQuery
) -> None:
    rows = [row(f"q{number}") for number in range(1000)]
    ids, _ = await bulk(client, *rows)
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        given = [{**one, "category": f"c{number}"} for number, one in enumerate(rows)]
        found, outcomes = await bulk(client, *given, on_duplicate="update", import_tag="t")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert (found, set(outcomes)) == (ids, {"updated"})
    writes = [one for one in sent if not one.lstrip().upper().startswith(("SELECT", "BEGIN", "COMMIT"))]
    assert len(writes) < 25, Counter(one[:60] for one in writes)
    assert await query(f"SELECT count(DISTINCT category), min(version), max(version) FROM {TABLE}") == [(1000, 2, 2)]  # noqa: S608
    # The same rows are recognised, whatever the size of the request.
    assert set((await bulk(client, *rows, on_duplicate="skip"))[1]) == {"skipped"}


async def test_a_repeated_request_gets_the_same_outcomes(client: httpx.AsyncClient) -> None:
    await bulk(client, row("a"))
    body = {"items": [row("a"), row("b")], "on_duplicate": "skip", "import_tag": "t"}
    key = {"Idempotency-Key": "k"}
    first = await client.post(f"{PATH}/bulk", json=body, headers=key)
    again = await client.post(f"{PATH}/bulk", json=body, headers=key)
    assert first.json()["outcomes"] == ["skipped", "added"]
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert_problem(await client.post(f"{PATH}/bulk", json={**body, "on_duplicate": "add"}, headers=key), 422)
    # What is not said makes the same request as saying the default.
    plain, said = {"items": [row("c")]}, {"items": [row("c")], "on_duplicate": "add", "dry_run": False}
    one = await client.post(f"{PATH}/bulk", json=plain, headers={"Idempotency-Key": "l"})
    assert (await client.post(f"{PATH}/bulk", json=said, headers={"Idempotency-Key": "l"})).content == one.content


async def test_a_dry_run_says_what_would_be_and_stores_nothing(client: httpx.AsyncClient, row_counts: Any) -> None:
    await bulk(client, row("a"), row("b"))
    before = {**await row_counts(), "index_outbox": 0}
    rows = [row("a"), row("b", category="x"), row("c"), row("c")]
    for mode, outcomes in (
        ("skip", ["skipped", "skipped", "added", "skipped"]),
        ("update", ["skipped", "updated", "added", "skipped"]),
        ("add", ["added"] * 4),
    ):
        assert await bulk(client, *rows, on_duplicate=mode, dry_run=True) == ([], outcomes)
    refused = await client.post(f"{PATH}/bulk", json={"items": [row("a"), row(" ")], "dry_run": True})
    assert {error["row"] for error in assert_problem(refused, 422)["errors"]} == {1}
    assert {**await row_counts(), "index_outbox": 0} == before


async def test_an_edited_conversation_is_no_duplicate_of_what_it_was(client: httpx.AsyncClient) -> None:
    [first], _ = await bulk(client, row("before"))
    await client.patch(f"{PATH}/{first}", json={"question": "after"})
    assert (await bulk(client, row("after"), row("before"), on_duplicate="skip"))[1] == ["skipped", "added"]
    await client.put(f"{PATH}/{first}", json=row("put"))
    assert (await bulk(client, row("put"), row("after"), on_duplicate="skip"))[1] == ["skipped", "added"]


async def test_a_hash_of_former_texts_hides_nothing(client: httpx.AsyncClient, query: RunQuery) -> None:
    """A release that does not know hashes changes texts only."""
    await bulk(client, row("before"), row("before"))
    [one, other] = [item["id"] for item in await listed(client)]
    await query(f"UPDATE {TABLE} SET question = 'after', version = 2 WHERE id = :id", id=one)  # noqa: S608
    assert await bulk(client, row("before"), on_duplicate="skip") == ([other], ["skipped"])
    await query(f"UPDATE {TABLE} SET question = 'after', version = 2 WHERE id = :id", id=other)  # noqa: S608
    assert (await bulk(client, row("before"), on_duplicate="skip"))[1] == ["added"]


async def test_two_imports_of_the_same_file_at_once_add_each_row_once(
    client: httpx.AsyncClient, query: RunQuery
) -> None:
    """Three of them, in pieces of other sizes and in another order."""
    rows = [row(f"question {number}", "a\u0301" * 50) for number in range(400)]

    async def send(tag: str, size: int, ordered: list[dict[str, Any]]) -> Counter[str]:
        found: Counter[str] = Counter()
        for start in range(0, len(rows), size):
            body = {"items": ordered[start : start + size], "on_duplicate": "skip", "import_tag": tag}
            answer = await client.post(f"{PATH}/bulk", json=body)
            assert answer.status_code == 201, answer.text
            found.update(answer.json()["outcomes"])
        return found

    counts = await asyncio.gather(send("one", 100, rows), send("two", 80, rows), send("three", 130, rows[::-1]))
    assert sum((one["added"] for one in counts), 0) == 400
    assert sum((one["skipped"] for one in counts), 0) == 800
    assert await query(f"SELECT count(*), count(DISTINCT question) FROM {TABLE}") == [(400, 400)]  # noqa: S608


@beside_other_writers
async def test_locks_are_deleted_when_nobody_can_wait_for_them(
    client: httpx.AsyncClient, sessions: SessionFactory, query: RunQuery
) -> None:
    await bulk(client, row("a"), row("b"), on_duplicate="skip")
    await bulk(client, row("a"), row("b"), on_duplicate="update")
    now = datetime.now(UTC)
    assert await purge(sessions, ImportLockRepository, now - LOCK_LIFETIME) == 0
    held = BulkCreate.model_validate({"items": [row("b", "another")], "on_duplicate": "skip"})
    async with sessions.begin() as session:
        await ImportService(session).add(held, None)
        assert await purge(sessions, ImportLockRepository, now + timedelta(seconds=60)) == 2
    assert await query("SELECT count(*) FROM import_locks") == [(1,)]


@beside_other_writers
async def test_a_request_waits_for_another_one_with_the_same_row_and_for_no_other(
    client: httpx.AsyncClient, sessions: SessionFactory
) -> None:
    held = BulkCreate.model_validate({"items": [row("shared"), row("own")], "on_duplicate": "skip"})
    async with sessions.begin() as session:
        await ImportService(session).add(held, None)
        waiting = asyncio.create_task(bulk(client, row("shared"), row("new"), on_duplicate="skip"))
        # Another import does not wait.
        assert (await bulk(client, row("third"), on_duplicate="skip"))[1] == ["added"]
        assert not waiting.done()
    _, outcomes = await waiting
    assert outcomes == ["skipped", "added"]


async def test_rows_of_a_former_release_are_completed_and_found(
    client: httpx.AsyncClient, sessions: SessionFactory, query: RunQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bulk(client, *(row(f"q{number}", "<p>x</p>") for number in range(25)))
    hashes = f"SELECT content_hash FROM {TABLE} ORDER BY id"  # noqa: S608
    expected = await query(hashes)
    assert [bytes(found) for [found] in expected] == [content_hash(f"q{number}", "<p>x</p>") for number in range(25)]
    updated_at = await query(f"SELECT max(updated_at), max(version) FROM {TABLE}")  # noqa: S608
    # Few are completed by the request that needs them.
    await query(f"UPDATE {TABLE} SET content_hash = NULL, markup_words = NULL")  # noqa: S608
    assert (await bulk(client, row("q3", "<p>x</p>"), on_duplicate="skip"))[1] == ["skipped"]
    assert await query(hashes) == expected
    # Of many, one piece after the other.
    await query(f"UPDATE {TABLE} SET content_hash = NULL, markup_words = NULL")  # noqa: S608
    monkeypatch.setattr(completion, "CHUNK", 10)
    assert await complete(sessions) == 25
    assert await query(hashes) == expected
    assert await query(f"SELECT count(*) FROM {TABLE} WHERE markup_words LIKE '% p %'") == [(25,)]  # noqa: S608
    assert await query(f"SELECT max(updated_at), max(version) FROM {TABLE}") == updated_at  # noqa: S608
    assert await complete(sessions) == 0


async def test_an_import_waits_while_many_rows_of_a_former_release_are_completed(
    client: httpx.AsyncClient, query: RunQuery
) -> None:
    await bulk(client, *(row(f"q{number}") for number in range(150)))
    await query(f"UPDATE {TABLE} SET content_hash = NULL")  # noqa: S608
    for options in ({"on_duplicate": "skip"}, {"on_duplicate": "update"}, {"on_duplicate": "skip", "dry_run": True}):
        answer = await client.post(f"{PATH}/bulk", json={"items": [row("q3")], **options})
        assert_problem(answer, 503)
        assert answer.headers["retry-after"] == "5"
    assert (await bulk(client, row("q3")))[1] == ["added"]


async def test_rows_are_completed_while_the_application_is_running(
    run_app: RunApp, settings: Settings, client: httpx.AsyncClient, query: RunQuery
) -> None:
    await bulk(client, *(row(f"q{number}") for number in range(250)))
    await query(f"UPDATE {TABLE} SET content_hash = NULL")  # noqa: S608

    async def are_complete() -> bool:
        return not await query(f"SELECT 1 FROM {TABLE} WHERE content_hash IS NULL LIMIT 1")  # noqa: S608

    async with run_app(settings):
        await eventually(are_complete)


async def test_what_an_import_added_is_found_by_its_tag_and_keeps_it(client: httpx.AsyncClient) -> None:
    [old], _ = await bulk(client, row("old"))
    [_, new, third], _ = await bulk(
        client, row("old"), row("new"), row("third"), on_duplicate="skip", import_tag=" clinic 2026 "
    )
    assert [one["id"] for one in await listed(client, import_tag="clinic 2026")] == [new, third]
    assert [one["id"] for one in await listed(client, import_tag_empty="true")] == [old]
    # No edit changes it, whatever it sends.
    replaced = (await client.put(f"{PATH}/{new}", json=row("replaced"))).json()
    assert replaced["import_tag"] == "clinic 2026"
    for body in ({"import_tag": "x"}, {"import_tag": None}):
        assert_problem(await client.patch(f"{PATH}/{new}", json=body), 422)
    assert_problem(await client.post(PATH, json=row("q", import_tag="x")), 422)
    exported = (await client.get(f"{PATH}/export", params={"import_tag": "clinic 2026"})).text
    assert ",author,import_tag,risk_level,unsafe_advice," in exported.splitlines()[0]
    assert exported.splitlines()[2].endswith(',"clinic 2026","","","import","unreviewed","","","",""')
    for wrong in ("", "x" * 129, "a\nb", 5):
        answer = await client.post(f"{PATH}/bulk", json={"items": [row("q")], "import_tag": wrong})
        assert [error["field"] for error in assert_problem(answer, 422)["errors"]] == ["import_tag"]


async def test_an_import_is_taken_back_except_for_what_was_edited(client: httpx.AsyncClient, row_counts: Any) -> None:
    ids, _ = await bulk(client, *(row(f"q{number}") for number in range(5)), import_tag="t")
    [other], _ = await bulk(client, row("other"), import_tag="u")
    await client.patch(f"{PATH}/{ids[2]}", json={"category": "sleep"})
    before = await undo(client, "t", dry_run=True)
    assert before == {
        "deleted": 0,
        "remaining": 4,
        "edited": 1,
        "edited_ids": [ids[2]],
        "updated": 0,
        "updated_ids": [],
    }
    done = await undo(client, "t")
    assert done == {**before, "deleted": 4, "remaining": 0}
    assert [one["id"] for one in await listed(client)] == [ids[2], other]
    assert (await row_counts())["index_states"] == 2
    assert (await undo(client, "t", dry_run=True, edited=True))["remaining"] == 1
    assert (await undo(client, "t", edited=True))["deleted"] == 1
    assert [one["id"] for one in await listed(client)] == [other]
    assert_problem(await client.post(f"{PATH}/undo-import", json={"import_tag": "t"}), 404)


async def test_what_an_import_updated_stays_and_is_named(client: httpx.AsyncClient) -> None:
    ids, _ = await bulk(client, row("a"), row("b"), import_tag="first")
    given = [row("a", category="x"), row("b"), row("c", category="x")]
    [_, _, new], _ = await bulk(client, *given, on_duplicate="update", import_tag="second")
    # It changes what it added itself, as its file has that twice.
    assert (await bulk(client, row("c", category="y"), on_duplicate="update", import_tag="second"))[1] == ["updated"]
    done = await undo(client, "second")
    assert (done["deleted"], done["edited"], done["updated_ids"]) == (1, 0, [ids[0]])
    assert [(one["id"], one["category"]) for one in await listed(client)] == [(ids[0], "x"), (ids[1], None)]
    # What another import updated counts as edited.
    assert (await undo(client, "first"))["edited_ids"] == [ids[0]]
    assert new not in [one["id"] for one in await listed(client)]


async def test_a_large_import_is_taken_back_in_pieces_and_a_repeated_request_deletes_no_further(
    client: httpx.AsyncClient,
) -> None:
    for part in range(3):
        await bulk(client, *(row(f"q{part}-{number}") for number in range(700)), import_tag="t")
    key = {"Idempotency-Key": "k"}
    body = {"import_tag": "t"}
    first = (await client.post(f"{PATH}/undo-import", json=body, headers=key)).json()
    assert (first["deleted"], first["remaining"]) == (1000, 1100)
    assert (await client.post(f"{PATH}/undo-import", json=body, headers=key)).json() == first
    for deleted, remaining in ((1000, 100), (100, 0)):
        done = await undo(client, "t")
        assert (done["deleted"], done["remaining"]) == (deleted, remaining)


async def test_edits_that_meet_an_undo_are_kept(client: httpx.AsyncClient, sessions: SessionFactory) -> None:
    """A conversation is deleted or edited, but never deleted after it was seen edited."""
    ids, _ = await bulk(client, *(row(f"q{number}") for number in range(40)), import_tag="t")

    async def edit(key: int) -> bool:
        return (await client.patch(f"{PATH}/{key}", json={"category": "x"})).status_code == 200

    results = await asyncio.gather(undo(client, "t"), *(edit(key) for key in ids))
    edited = {key for key, was in zip(ids, results[1:], strict=True) if was}
    assert {one["id"] for one in await listed(client)} == edited
