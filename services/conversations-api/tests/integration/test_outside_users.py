"""People without an account, for whom the keys of service accounts act: each one's history is their own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final

import httpx
import pytest
import redis
from conversations_api.accounts import add_key, adopt_history, in_transaction, prepare_setup
from conversations_api.settings import FirstAdministratorSettings, Settings
from mh_common.access_settings import ServiceKeySettings
from mh_common.auth.roles import Role, Scope
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.errors import DomainError
from mh_common.models import INTERNAL_HISTORY
from mh_devtools.testing.access import PASSWORD
from mh_devtools.testing.fixtures import RunApp, RunQuery
from pydantic import SecretStr

API: Final = "/api/v1"
HISTORY: Final = "/api/v1/history"
SCOPES: Final = [Scope.CONVERSATIONS_READ, Scope.ANSWERS, Scope.HISTORY_OWN, Scope.CONVERSATIONS_WRITE]
Headers = Mapping[str, str]


@pytest.fixture
def secured(settings: Settings) -> Settings:
    """Settings with accounts."""
    key = SecretStr(make_token(TokenKind.SERVICE_KEY))
    more = {"auth": FirstAdministratorSettings(mode="required"), "mh": ServiceKeySettings(service_key=key)}
    return settings.model_copy(update=more)


@pytest.fixture
async def api(secured: Settings, run_app: RunApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a credential."""
    redis.Redis.from_url(secured.redis.url).flushdb()
    async with run_app(secured) as client:
        yield client


@pytest.fixture
async def admin(secured: Settings, api: httpx.AsyncClient) -> dict[str, str]:
    """The headers of the administrator."""
    text = await in_transaction(secured, lambda session: prepare_setup(session, secured.auth))
    first = {"token": (text or "").split()[-1], "username": "root", "password": PASSWORD}
    assert (await api.post(f"{API}/setup", json=first)).status_code == 201
    return await signed_in(api, "root")


async def signed_in(api: httpx.AsyncClient, username: str) -> dict[str, str]:
    response = await api.post(f"{API}/sessions", json={"username": username, "password": PASSWORD})
    return {"Authorization": f"Bearer {response.json()['token']}"}


async def add_account(api: httpx.AsyncClient, admin: Headers, username: str, **fields: Any) -> int:
    new = {"username": username, "role": "curator", "kind": "service"} | fields
    response = await api.post(f"{API}/users", json=new, headers=admin)
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


async def make_key(api: httpx.AsyncClient, admin: Headers, user_id: int, *more: Scope) -> dict[str, Any]:
    new = {"name": "test", "scopes": [*SCOPES, *more], "user_id": user_id}
    response = await api.post(f"{API}/api-keys", json=new, headers=admin)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def add_service(api: httpx.AsyncClient, admin: Headers, username: str) -> dict[str, str]:
    """Return the headers of a new service whose key may act for others."""
    made = await make_key(api, admin, await add_account(api, admin, username), Scope.ON_BEHALF_OF)
    return {"Authorization": f"Bearer {made['token']}"}


def entry(user_id: str | None) -> dict[str, Any]:
    least = {"question": "q", "answer": "a", "model": "none", "latency_ms": 0}
    return {"answer_id": str(uuid.uuid4()), "user_id": user_id, **least}


async def store(api: httpx.AsyncClient, headers: Headers, user_id: str | None) -> str:
    """Store an answer for this person; return its id."""
    new = entry(user_id)
    response = await api.post(INTERNAL_HISTORY, json=new, headers=headers)
    assert response.status_code == 201, response.text
    return str(new["answer_id"])


async def listed(api: httpx.AsyncClient, headers: Headers, named: str | None = None) -> list[str]:
    more = {} if named is None else {"X-User-Id": named}
    response = await api.get(HISTORY, headers={**headers, **more})
    assert response.status_code == 200, response.text
    return [item["answer_id"] for item in response.json()["items"]]


async def test_each_person_of_each_service_has_a_history_of_their_own(
    api: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    chat, practice = await add_service(api, admin, "chat"), await add_service(api, admin, "practice")
    hers, his = await store(api, chat, "u7"), await store(api, practice, "u7")
    other, own = await store(api, chat, "U7"), await store(api, chat, None)
    assert await listed(api, chat, "u7") == [hers]
    assert await listed(api, practice, "u7") == [his]
    assert await listed(api, chat, "U7") == [other]
    assert await listed(api, chat) == [own]
    assert await listed(api, practice) == []
    assert await listed(api, chat, "nobody-yet") == []
    read = await api.get(f"{HISTORY}/{hers}", headers={**chat, "X-User-Id": "u7"})
    assert (read.status_code, read.json()["user_id"]) == (200, "u7")
    for stranger in (
        {**practice, "X-User-Id": "u7"},
        {**chat, "X-User-Id": "u8"},
        {**chat, "X-User-Id": "U7"},
        chat,
        practice,
        {**admin, "X-User-Id": "u7"},
    ):
        for method, path, body in (
            ("GET", f"{HISTORY}/{hers}", None),
            ("PUT", f"{INTERNAL_HISTORY}/{hers}/feedback", {"rating": "down"}),
            ("DELETE", f"{HISTORY}/{hers}", None),
        ):
            assert (await api.request(method, path, json=body, headers=stranger)).status_code == 404
        if stranger.get("X-User-Id") != "u7" or stranger["Authorization"] != chat["Authorization"]:
            await api.delete(HISTORY, headers=stranger)
    assert await listed(api, chat, "u7") == [hers]
    rated = await api.put(
        f"{INTERNAL_HISTORY}/{hers}/feedback", json={"rating": "up"}, headers={**chat, "X-User-Id": "u7"}
    )
    assert rated.status_code == 200
    assert (await api.delete(HISTORY, headers={**chat, "X-User-Id": "u7"})).json() == {"deleted": 1}


async def test_an_id_like_an_accounts_number_is_not_that_account(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    chat = await add_service(api, admin, "chat")
    number = str((await api.get(f"{API}/me", headers=admin)).json()["id"])
    hers, own = await store(api, admin, None), await store(api, chat, number)
    assert (await listed(api, admin), await listed(api, chat, number)) == ([hers], [own])
    assert (await api.get(f"{HISTORY}/{own}", headers=admin)).status_code == 404
    assert (await api.get(f"{HISTORY}/{hers}", headers={**chat, "X-User-Id": number})).status_code == 404


async def test_who_may_not_act_for_others_is_asked_nothing_of_it(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    plain = {"Authorization": f"Bearer {(await make_key(api, admin, await add_account(api, admin, 'plain')))['token']}"}
    own = await store(api, plain, "u7")
    for named in ("u7", "u8", "not an id", "x" * 999):
        assert await listed(api, plain, named) == [own]
    chat = await add_service(api, admin, "chat")
    refused = await api.get(HISTORY, headers={**chat, "X-User-Id": "not an id"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "X-User-Id")


async def test_only_administrators_let_keys_act_for_others_and_only_those_of_services(
    api: httpx.AsyncClient, admin: dict[str, str], secured: Settings
) -> None:
    service = await add_account(api, admin, "chat")
    ann = await add_account(api, admin, "ann", kind="person", password=PASSWORD, role="counselor")
    own = {"name": "test", "scopes": ["history:own", "on-behalf-of"]}
    for headers, new in (
        (await signed_in(api, "ann"), own),
        ({"Authorization": f"Bearer {(await make_key(api, admin, service))['token']}"}, own),
        (admin, own),
        (admin, {**own, "user_id": ann}),
    ):
        refused = await api.post(f"{API}/api-keys", json=new, headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "scopes"), refused.text
        assert "on-behalf-of" in refused.text
    made = await make_key(api, admin, service, Scope.ON_BEHALF_OF)
    chat = {"Authorization": f"Bearer {made['token']}"}
    assert "on-behalf-of" in (await api.get(f"{API}/me", headers=chat)).json()["scopes"]
    # Nor does a key make another such key of its own account.
    assert (await api.post(f"{API}/api-keys/{made['api_key']['id']}/rotate", headers=chat)).status_code == 400
    rotated = await api.post(f"{API}/api-keys/{made['api_key']['id']}/rotate", headers=admin)
    assert "on-behalf-of" in rotated.json()["api_key"]["scopes"]
    by_operator = await in_transaction(
        secured, lambda session: add_key(session, "door", Role.COUNSELOR, on_behalf_of=True)
    )
    me = await api.get(f"{API}/me", headers={"Authorization": f"Bearer {by_operator}"})
    assert "on-behalf-of" in me.json()["scopes"]


async def test_no_role_has_it_and_no_role_takes_it_away(
    api: httpx.AsyncClient, admin: dict[str, str], query: RunQuery
) -> None:
    assert all("on-behalf-of" not in one["scopes"] for one in (await api.get(f"{API}/roles", headers=admin)).json())
    await add_account(api, admin, "second", kind="person", password=PASSWORD, role="admin")
    second = await signed_in(api, "second")
    user_id = await add_account(api, admin, "chat")
    made = await make_key(api, second, user_id, Scope.ON_BEHALF_OF)
    chat = {"Authorization": f"Bearer {made['token']}"}
    await store(api, chat, "u7")

    def scopes_of(response: httpx.Response) -> set[str]:
        return set(response.json()["scopes"])

    # What the key was given stays, whatever becomes of its maker; what its owner's role lacks goes.
    maker = made["api_key"]["created_by"]
    await api.patch(f"{API}/users/{maker}", json={"role": "counselor"}, headers=admin)
    await api.patch(f"{API}/users/{user_id}", json={"role": "operator"}, headers=admin)
    assert scopes_of(await api.get(f"{API}/me", headers=chat)) == {"on-behalf-of"}
    assert (await api.get(HISTORY, headers={**chat, "X-User-Id": "u7"})).status_code == 403
    await api.patch(f"{API}/users/{user_id}", json={"role": "counselor"}, headers=admin)
    assert len(await listed(api, chat, "u7")) == 1
    # Of a person's key, as if somebody had written to the table, it does not count.
    await query("UPDATE users SET kind = 'person' WHERE id = :id", id=user_id)
    assert "on-behalf-of" not in scopes_of(await api.get(f"{API}/me", headers=chat))
    await api.delete(f"{API}/api-keys/{made['api_key']['id']}", headers=admin)
    assert (await api.get(HISTORY, headers={**chat, "X-User-Id": "u7"})).status_code == 401


async def test_first_uses_at_the_same_time_make_one_identity(
    api: httpx.AsyncClient, admin: dict[str, str], query: RunQuery
) -> None:
    chat = await add_service(api, admin, "chat")
    ids = await asyncio.gather(*(store(api, chat, f"u{number % 3}") for number in range(24)))
    assert len(set(ids)) == 24
    assert [len(await listed(api, chat, f"u{number}")) for number in range(3)] == [8, 8, 8]
    made = await query("SELECT issuer, subject, user_id FROM user_identities ORDER BY subject")
    (owner,) = {row[2] for row in made}
    assert [row[:2] for row in made] == [(f"urn:mental-health-platform:account:{owner}", f"u{n}") for n in range(3)]


async def test_an_idempotency_key_is_one_persons(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    chat = {**await add_service(api, admin, "chat"), "Idempotency-Key": "1"}
    new = {"question": "q", "answer": "a", "question_sentiment": "neutral", "answer_sentiment": "neutral"}

    async def add(*named: str) -> int:
        more = {"X-User-Id": named[0]} if named else {}
        return (await api.post(f"{API}/conversations", json=new, headers={**chat, **more})).status_code

    assert [await add("ann"), await add("ann"), await add("ben"), await add()] == [201, 201, 422, 422]


async def test_the_same_answer_of_another_person_is_another_answer(
    api: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    chat, practice = await add_service(api, admin, "chat"), await add_service(api, admin, "practice")
    new = entry("u7")
    statuses = [
        (await api.post(INTERNAL_HISTORY, json=new, headers=headers)).status_code for headers in (chat, chat, practice)
    ]
    assert statuses == [201, 200, 422]


async def test_a_service_adopts_the_people_of_the_time_without_accounts(
    settings: Settings, run_app: RunApp, api: httpx.AsyncClient, admin: dict[str, str], secured: Settings
) -> None:
    async with run_app(settings) as open_api:
        old = {name: await store(open_api, {}, name) for name in ("ann", "ben", "1")}
        anonymous = await store(open_api, {}, None)
        assert await listed(open_api, {}, "ann") == [old["ann"]]
    chat = await add_service(api, admin, "chat")
    new = await store(api, chat, "ann")
    assert (await listed(api, chat, "ann"), await listed(api, chat, "ben")) == ([new], [])
    told = await in_transaction(secured, lambda session: adopt_history(session, "chat"))
    assert told == "chat acts for 3 more people, who were named before there were accounts."
    assert await listed(api, chat, "ann") == [new, old["ann"]]
    assert (await listed(api, chat, "ben"), await listed(api, chat, "1")) == ([old["ben"]], [old["1"]])
    assert await listed(api, admin) == []
    assert (await api.get(f"{HISTORY}/{anonymous}", headers=chat)).status_code == 404
    for name in ("root", "nobody"):
        with pytest.raises(DomainError, match=f"no service account {name}"):
            await in_transaction(secured, partial(adopt_history, username=name))
