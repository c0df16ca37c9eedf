"""Who added, changed and reviewed a conversation, and how it came: shown, filtered by, exported, and set by nobody."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from conversations_api.accounts import add_key, in_transaction, prepare_setup
from conversations_api.settings import FirstAdministratorSettings, RelaySettings, Settings
from mh_common.access_settings import ServiceKeySettings
from mh_common.auth.roles import Role
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.settings import RedisSettings
from mh_devtools.testing.access import PASSWORD
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.responses import assert_problem
from pydantic import SecretStr

API = "/api/v1"
PATH = f"{API}/conversations"
NEW = {"question": "q", "answer": "a", "question_sentiment": "negative", "answer_sentiment": "neutral"}
OWN = ("created_by", "updated_by", "origin", "review_state", "reviewed_by", "reviewed_at")


async def add(client: httpx.AsyncClient, **more: Any) -> int:
    response = await client.post(PATH, json={**NEW, **more})
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


async def read(client: httpx.AsyncClient, key: int) -> dict[str, Any]:
    row: dict[str, Any] = (await client.get(f"{PATH}/{key}")).json()
    return row


async def review(client: httpx.AsyncClient, key: int, state: str, **headers: str) -> httpx.Response:
    return await client.put(f"{PATH}/{key}/review", json={"review_state": state}, headers=headers)


@pytest.fixture
async def quiet(settings: Settings, run_app: RunApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a platform whose Redis is down, so that outbox rows stay to be looked at."""
    changes = {"redis": RedisSettings(url="redis://127.0.0.1:1/0"), "relay": RelaySettings(poll_interval=600)}
    async with run_app(settings.model_copy(update=changes)) as client:
        yield client


@pytest.fixture
async def accounts(
    settings: Settings, run_app: RunApp
) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str], dict[str, str]]]:
    """A platform with accounts; the headers of its administrator, and of a service account's key."""
    key = SecretStr(make_token(TokenKind.SERVICE_KEY))
    auth = FirstAdministratorSettings(mode="required")
    secured = settings.model_copy(update={"auth": auth, "mh": ServiceKeySettings(service_key=key)})
    async with run_app(secured) as client:
        text = await in_transaction(secured, lambda session: prepare_setup(session, auth))
        assert text is not None
        first = {"token": text.split()[-1], "username": "root", "password": PASSWORD}
        assert (await client.post(f"{API}/setup", json=first)).status_code == 201
        signed_in = await client.post(f"{API}/sessions", json={"username": "root", "password": PASSWORD})
        token = await in_transaction(secured, lambda session: add_key(session, "loader", Role.CURATOR))
        assert token is not None
        yield client, bearer(signed_in.json()["token"]), bearer(token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def shown(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("created_by", "updated_by", "origin", "reviewed_by"))


async def test_accounts_sign_what_they_add_change_and_review(
    accounts: tuple[httpx.AsyncClient, dict[str, str], dict[str, str]], query: RunQuery
) -> None:
    client, person, program = accounts
    root, loader = [one for (one,) in await query("SELECT id FROM users ORDER BY id")]
    by_person = (await client.post(PATH, json=NEW, headers=person)).json()
    assert shown(by_person) == (root, root, "person", None)
    by_program = (await client.post(PATH, json=NEW, headers=program)).json()
    assert shown(by_program) == (loader, loader, "api", None)
    bulk = {"items": [{**NEW, "question": "other"}], "import_tag": "clinic"}
    [imported] = (await client.post(f"{PATH}/bulk", json=bulk, headers=person)).json()["ids"]
    assert shown((await client.get(f"{PATH}/{imported}", headers=person)).json()) == (root, root, "import", None)

    changed = await client.patch(f"{PATH}/{by_person['id']}", json={"answer": "b"}, headers=program)
    assert shown(changed.json()) == (root, loader, "person", None)
    update = {"items": [{**NEW, "question": "other", "category": "sleep"}], "on_duplicate": "update"}
    await client.post(f"{PATH}/bulk", json=update, headers=program)
    assert shown((await client.get(f"{PATH}/{imported}", headers=person)).json()) == (root, loader, "import", None)
    approved = await client.put(f"{PATH}/{imported}/review", json={"review_state": "approved"}, headers=person)
    assert shown(approved.json()) == (root, loader, "import", root)

    await query("DELETE FROM api_keys")
    await query("DELETE FROM users WHERE id = :id", id=loader)
    assert (await client.get(f"{PATH}/{imported}", headers=person)).json()["updated_by"] == loader


async def test_without_accounts_nobody_signs(client: httpx.AsyncClient, query: RunQuery) -> None:
    key = await add(client)
    await review(client, key, "approved")
    row = await read(client, key)
    assert shown(row) == (None, None, "api", None)
    assert row["reviewed_at"] is not None
    # As an earlier release or another program writes it.
    await query(
        "INSERT INTO mental_health_conversations (question, answer, question_sentiment, answer_sentiment, version, "
        "created_at, updated_at) VALUES ('x', 'y', 'neutral', 'neutral', 1, '2026-01-01 00:00:00', "
        "'2026-01-01 00:00:00')"
    )
    row = await read(client, key + 1)
    assert {name: row[name] for name in OWN} == {**dict.fromkeys(OWN), "review_state": "unreviewed"}


@pytest.mark.parametrize("name", OWN)
async def test_a_body_that_sets_them_is_refused_with_what_does(client: httpx.AsyncClient, name: str) -> None:
    key = await add(client)
    route = "PUT /api/v1/conversations/{id}/review" if "review" in name else "by the platform"
    sent = {name: "approved"}
    for method, path, body, field in (
        ("POST", PATH, {**NEW, **sent}, name),
        ("PUT", f"{PATH}/{key}", {**NEW, **sent}, name),
        ("PATCH", f"{PATH}/{key}", sent, name),
        ("POST", f"{PATH}/bulk", {"items": [{**NEW, **sent}]}, f"items.0.{name}"),
    ):
        refused = await client.request(method, path, json=body)
        assert_problem(refused, 422)
        [error] = refused.json()["errors"]
        assert (error["field"], route in error["message"]) == (field, True), error
    assert (await read(client, key))["version"] == 1


async def test_lists_exports_and_statistics_go_by_origin_and_review(client: httpx.AsyncClient) -> None:
    one, two, three = [await add(client, question=f"q{number}") for number in range(3)]
    [imported] = (await client.post(f"{PATH}/bulk", json={"items": [NEW]})).json()["ids"]
    await review(client, one, "approved")
    await review(client, two, "rejected")
    for filters, expected in (
        ({"review_state": "approved"}, [one]),
        ({"review_state": ["approved", "rejected"]}, [one, two]),
        ({"review_state": "unreviewed"}, [three, imported]),
        ({"origin": "import"}, [imported]),
        ({"origin": "api", "review_state": "unreviewed"}, [three]),
        ({"origin_empty": "true"}, []),
        ({"origin_empty": "false", "sort": "-id"}, [imported, three, two, one]),
    ):
        page = (await client.get(PATH, params={**filters, "include_total": True})).json()
        assert ([row["id"] for row in page["items"]], page["total"]) == (expected, len(expected)), filters
    assert (await client.get(f"{PATH}/stats")).json()["review_state"] == {
        "unreviewed": 2,
        "approved": 1,
        "rejected": 1,
    }

    exported = await client.get(f"{PATH}/export")
    rows = list(csv.DictReader(io.StringIO(exported.text, newline=""), strict=True))
    assert [row["review_state"] for row in rows] == ["approved", "rejected", "unreviewed", "unreviewed"]
    assert rows[3]["origin"] == "import"
    assert (rows[0]["created_by"], rows[0]["reviewed_by"]) == ("", "")
    lines = (await client.get(f"{PATH}/export", params={"format": "jsonl"})).text.splitlines()
    assert all(set(OWN) <= json.loads(line).keys() for line in lines)


async def test_a_changed_text_takes_a_decision_back_and_other_changes_do_not(client: httpx.AsyncClient) -> None:
    for state in ("approved", "rejected"):
        key = await add(client, question=state)
        await review(client, key, state)
        for change in ({"category": "sleep"}, {"answer_sentiment": "positive"}, {"question": state}):
            assert (await client.patch(f"{PATH}/{key}", json=change)).json()["review_state"] == state
        # An import that knows the texts leaves them as they are.
        items = [{**NEW, "question": state, "author": "Jane"}]
        assert (await client.post(f"{PATH}/bulk", json={"items": items, "on_duplicate": "update"})).json()[
            "outcomes"
        ] == ["updated"]
        assert (await read(client, key))["review_state"] == state
        changed = (await client.patch(f"{PATH}/{key}", json={"answer": "another"})).json()
        assert [changed[name] for name in OWN[3:]] == ["unreviewed", None, None]
        assert changed == {**await read(client, key), "index_status": "pending"}


async def test_a_review_makes_no_version_and_is_queued_for_the_index(quiet: httpx.AsyncClient, query: RunQuery) -> None:
    client = quiet
    key = await add(client)
    new = await client.get(f"{PATH}/{key}")
    await query("DELETE FROM index_outbox")
    approved = await review(client, key, "approved", **{"If-Match": new.headers["etag"]})
    assert (approved.status_code, approved.headers["etag"]) == (200, '"1-pending-approved"')
    assert approved.json() == {
        **new.json(),
        "review_state": "approved",
        "reviewed_at": approved.json()["reviewed_at"],
    }
    assert [one for (one,) in await query("SELECT source_id FROM index_outbox")] == [key]
    assert await query("SELECT * FROM conversation_versions") == []
    # The same once more changes nothing, not even when.
    await query("DELETE FROM index_outbox")
    assert (await review(client, key, "approved")).json() == approved.json()
    assert await query("SELECT * FROM index_outbox") == []
    # What another one has read does not count as the reviewed text.
    await client.patch(f"{PATH}/{key}", json={"answer": "b"})
    stale = await review(client, key, "approved", **{"If-Match": approved.headers["etag"]})
    assert_problem(stale, 412)
    assert (await read(client, key))["review_state"] == "unreviewed"
    assert_problem(await review(client, key + 1, "approved"), 404)
    assert_problem(await review(client, key, "perfect"), 422)
    assert (await review(client, key, "unreviewed")).json()["reviewed_at"] is None


async def test_many_are_reviewed_at_once(quiet: httpx.AsyncClient, query: RunQuery) -> None:
    client = quiet
    keys = [await add(client, question=f"q{number}") for number in range(3)]
    await review(client, keys[0], "approved")
    await query("DELETE FROM index_outbox")
    body = {"ids": [*keys, keys[-1] + 1], "review_state": "approved"}
    assert (await client.post(f"{PATH}/bulk-review", json=body)).json() == {"found": 3, "changed": 2}
    assert [(await read(client, key))["review_state"] for key in keys] == ["approved"] * 3
    assert [one for (one,) in await query("SELECT source_id FROM index_outbox ORDER BY id")] == keys[1:]
    assert (await client.post(f"{PATH}/bulk-review", json=body)).json() == {"found": 3, "changed": 0}
    assert_problem(await client.post(f"{PATH}/bulk-review", json={"ids": keys}), 422)
