"""Earlier versions of conversations: kept by every change, listed, restored, and gone with their conversation."""

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from conversations_api import purge
from conversations_api.conversations.versions import CONTENT
from conversations_api.settings import ConversationSettings, RelaySettings, Settings
from mh_common.settings import RedisSettings
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.responses import assert_problem
from mh_devtools.testing.waiting import eventually
from sqlalchemy import event
from sqlalchemy.engine import Engine

PATH = "/api/v1/conversations"
NEW = {"question": "q", "answer": "a", "question_sentiment": "negative", "answer_sentiment": "neutral"}


async def add(client: httpx.AsyncClient, **more: Any) -> int:
    return int((await client.post(PATH, json={**NEW, **more})).json()["id"])


async def edit(client: httpx.AsyncClient, key: int, **changes: Any) -> dict[str, Any]:
    response = await client.patch(f"{PATH}/{key}", json=changes)
    assert response.status_code == 200, response.text
    row: dict[str, Any] = response.json()
    return row


async def versions(client: httpx.AsyncClient, key: int, **query: Any) -> list[dict[str, Any]]:
    response = await client.get(f"{PATH}/{key}/versions", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def content(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in CONTENT}


async def kept(query: RunQuery) -> list[tuple[int, int]]:
    found = await query("SELECT conversation_id, version FROM conversation_versions ORDER BY 1, 2")
    return [(key, number) for key, number in found]


@pytest.fixture
async def quiet(settings: Settings, run_app: RunApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a platform whose Redis is down, so that outbox rows stay to be looked at."""
    changes = {"redis": RedisSettings(url="redis://127.0.0.1:1/0"), "relay": RelaySettings(poll_interval=600)}
    async with run_app(settings.model_copy(update=changes)) as client:
        yield client


async def test_each_kind_of_change_keeps_what_was_there(client: httpx.AsyncClient, query: RunQuery) -> None:
    key = await add(client)
    assert await kept(query) == []
    first = (await client.get(f"{PATH}/{key}")).json()
    await edit(client, key, answer="b")
    await client.put(f"{PATH}/{key}", json={**NEW, "question": "other"})
    items = [{**NEW, "question": "other", "category": "sleep"}]
    await client.post(f"{PATH}/bulk", json={"items": items, "on_duplicate": "update"})
    restored = await client.post(f"{PATH}/{key}/versions/1/restore")
    assert (restored.status_code, content(restored.json())) == (200, content(first))
    assert await kept(query) == [(key, 1), (key, 2), (key, 3), (key, 4)]
    # What changes nothing leaves nothing.
    await edit(client, key, answer="a")
    await client.post(f"{PATH}/{key}/versions/5/restore")
    assert len(await kept(query)) == 4

    found = await versions(client, key)
    assert [one["version"] for one in found] == [5, 4, 3, 2, 1]
    assert [one["answer"] for one in found] == ["a", "a", "a", "b", "a"]
    assert [one["category"] for one in found] == [None, "sleep", None, None, None]
    assert found[0]["changed_at"] == restored.json()["updated_at"]
    assert (found[-1]["changed_at"], content(found[-1])) == (first["updated_at"], content(first))
    for one in found:
        assert (await client.get(f"{PATH}/{key}/versions/{one['version']}")).json() == one


async def test_pages_of_versions_follow_one_another(client: httpx.AsyncClient) -> None:
    key = await add(client)
    for number in range(4):
        await edit(client, key, answer=f"b{number}")
    numbers: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get(f"{PATH}/{key}/versions", params={"limit": 2, **cursor})).json()
        numbers += [one["version"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert numbers == [5, 4, 3, 2, 1]


async def test_a_restore_is_a_change_like_any_other(quiet: httpx.AsyncClient, query: RunQuery) -> None:
    client = quiet
    key = await add(client)
    changed = await edit(client, key, answer="b")
    approved = await client.put(f"{PATH}/{key}/review", json={"review_state": "approved"})
    await query("UPDATE index_states SET risk_level = 'acute', screened_by = 'rules', status = 'indexed'")
    await query("DELETE FROM index_outbox")
    stale = await client.post(f"{PATH}/{key}/versions/1/restore", headers={"If-Match": '"1"'})
    assert_problem(stale, 412)
    etag = approved.headers["etag"]
    restored = await client.post(f"{PATH}/{key}/versions/1/restore", headers={"If-Match": etag})
    row = restored.json()
    assert (row["version"], row["index_status"], row["risk_level"]) == (3, "pending", None)
    # It has not been reviewed with these texts.
    assert (row["review_state"], row["updated_at"] > changed["updated_at"]) == ("unreviewed", True)
    assert (await client.get(f"{PATH}/{key}")).json() == row
    assert [one for (one,) in await query("SELECT source_id FROM index_outbox")] == [key]
    for path in (f"{PATH}/{key}/versions/9", f"{PATH}/{key + 1}/versions/1", f"{PATH}/{key + 1}/versions"):
        assert_problem(await client.get(path), 404)
    assert_problem(await client.post(f"{PATH}/{key}/versions/9/restore"), 404)


async def test_versions_go_with_their_conversation_however_it_goes(client: httpx.AsyncClient, query: RunQuery) -> None:
    keys = [await add(client, question=f"q{number}") for number in range(4)]
    items = [{**NEW, "question": "imported"}]
    imported = (await client.post(f"{PATH}/bulk", json={"items": items, "import_tag": "t"})).json()["ids"]
    for key in [*keys, *imported]:
        await edit(client, key, answer="b")
    await client.delete(f"{PATH}/{keys[0]}")
    await client.post(f"{PATH}/bulk-delete", json={"ids": keys[1:3]})
    await client.post(f"{PATH}/undo-import", json={"import_tag": "t", "edited": True})
    assert await kept(query) == [(keys[3], 1)]
    # Another program or an earlier release.
    await query("DELETE FROM mental_health_conversations")
    assert await kept(query) == []


async def test_none_are_kept_if_the_settings_say_so(
    client: httpx.AsyncClient, settings: Settings, run_app: RunApp, query: RunQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "FIRST_AFTER", 0.0)
    key = await add(client)
    await edit(client, key, answer="b")
    assert await kept(query) == [(key, 1)]
    without = settings.model_copy(update={"conversations": ConversationSettings(keep_versions=False)})
    async with run_app(without) as other:
        # Those that there are go as well.
        await eventually(lambda: _is_empty(query))
        await edit(other, key, answer="c")
        items = [{**NEW, "answer": "c", "category": "sleep"}]
        await other.post(f"{PATH}/bulk", json={"items": items, "on_duplicate": "update"})
        assert await kept(query) == []
        assert [one["version"] for one in await versions(other, key)] == [4]
        assert_problem(await other.get(f"{PATH}/{key}/versions/1"), 404)


async def _is_empty(query: RunQuery) -> bool:
    return not await kept(query)


async def test_an_import_keeps_all_that_it_updates_with_one_statement(client: httpx.AsyncClient) -> None:
    items = [{**NEW, "question": f"q{number}"} for number in range(250)]
    ids = (await client.post(f"{PATH}/bulk", json={"items": items})).json()["ids"]
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "conversation_versions" in statement:
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        changed = [{**one, "category": "sleep"} for one in items]
        await client.post(f"{PATH}/bulk", json={"items": changed, "on_duplicate": "update"})
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(sent) == 1
    assert [one["version"] for one in await versions(client, ids[-1])] == [2, 1]


@pytest.mark.parametrize("seed", range(4))
async def test_restoring_any_version_gives_exactly_what_it_was(client: httpx.AsyncClient, seed: int) -> None:
    choose = random.Random(seed)
    values: dict[str, list[Any]] = {
        "question": ["q", "<p>q &amp; r</p>", "é\u202f🙂\nzwei", "q" * 3000],
        "answer": ["a", "b\r\nc", "ø <b>fett</b>"],
        "question_sentiment": ["negative", "neutral", "positive"],
        "answer_sentiment": ["negative", "neutral", "positive"],
        "source_url": [None, "https://example.org/1", "https://example.org/2"],
        "source_date": [None, "2021-01-01"],
        "category": [None, "sleep", "SLEEP"],
        "author": [None, "Zoë", "Zoe"],
    }
    key = await add(client)
    were = {1: content((await client.get(f"{PATH}/{key}")).json())}
    for _ in range(12):
        names = choose.sample(sorted(values), choose.randint(1, 3))
        whole = {**NEW, **{name: choose.choice(values[name]) for name in names}}
        match choose.randrange(4):
            case 0:
                response = await client.put(f"{PATH}/{key}", json=whole)
            case 1:
                response = await client.post(f"{PATH}/{key}/versions/{choose.choice(sorted(were))}/restore")
            case 2:
                state = choose.choice(["approved", "rejected", "unreviewed"])
                response = await client.put(f"{PATH}/{key}/review", json={"review_state": state})
            case _:
                response = await client.patch(f"{PATH}/{key}", json={name: whole[name] for name in names})
        assert response.status_code == 200, response.text
        row = response.json()
        assert were.setdefault(row["version"], content(row)) == content(row)
    for number in choose.sample(sorted(were), len(were)):
        restored = (await client.post(f"{PATH}/{key}/versions/{number}/restore")).json()
        assert content(restored) == were[number]
        assert content((await client.get(f"{PATH}/{key}")).json()) == were[number]
        were[restored["version"]] = content(restored)
    assert {one["version"]: content(one) for one in await versions(client, key, limit=100)} == were
