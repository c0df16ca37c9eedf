"""Who gets in, and what each may do: every route with every role, without and with credentials of every kind."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import httpx
import pytest
import redis
from conversations_api.accounts import add_key, in_transaction, prepare_setup
from conversations_api.credentials.repository import CredentialReader, Owner
from conversations_api.main import create_app
from conversations_api.settings import FirstAdministratorSettings, Settings
from mh_common.access_settings import ServiceKeySettings
from mh_common.auth.roles import SCOPES_OF, Role, Scope
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.errors import DomainError
from mh_devtools.testing.access import ABSENT, PASSWORD, RouteCall, every_call
from mh_devtools.testing.fixtures import RunApp, RunQuery
from pydantic import SecretStr

NEW: Final = {
    "question": "How do I fall asleep?",
    "answer": "Keep the same hours.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
}
API: Final = "/api/v1"

ON_ONE_DATABASE: Final = pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)
"""For tests of many requests, whose answers do not depend on the database."""

SignIn = Callable[[str], Awaitable[dict[str, str]]]


@pytest.fixture
def secured(settings: Settings) -> Settings:
    """Settings with accounts."""
    return settings.model_copy(
        update={
            "auth": FirstAdministratorSettings(mode="required"),
            "mh": ServiceKeySettings(service_key=SecretStr(make_token(TokenKind.SERVICE_KEY))),
        }
    )


@pytest.fixture
async def api(secured: Settings, run_app: RunApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a credential. Attempts to sign in of earlier tests are forgotten."""
    redis.Redis.from_url(secured.redis.url).flushdb()
    async with run_app(secured) as client:
        yield client


@pytest.fixture
async def admin(secured: Settings, api: httpx.AsyncClient) -> dict[str, str]:
    """The headers of the first administrator, who has signed in."""
    text = await in_transaction(secured, lambda session: prepare_setup(session, secured.auth))
    assert text is not None
    first = {"token": text.split()[-1], "username": "root", "password": PASSWORD}
    assert (await api.post(f"{API}/setup", json=first)).status_code == 201
    return await signed_in(api, "root")


async def signed_in(api: httpx.AsyncClient, username: str, password: str = PASSWORD) -> dict[str, str]:
    response = await api.post(f"{API}/sessions", json={"username": username, "password": password})
    assert response.status_code == 201, response.text
    return bearer(response.json()["token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def add_person(api: httpx.AsyncClient, admin: Mapping[str, str], username: str, role: Role) -> int:
    new = {"username": username, "role": role, "password": PASSWORD}
    response = await api.post(f"{API}/users", json=new, headers=admin)
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


async def make_key(api: httpx.AsyncClient, maker: Mapping[str, str], *scopes: Scope, **more: Any) -> dict[str, Any]:
    response = await api.post(f"{API}/api-keys", json={"name": "test", "scopes": scopes, **more}, headers=maker)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def called(api: httpx.AsyncClient, call: RouteCall, headers: Mapping[str, str]) -> httpx.Response:
    return await api.request(call.method, call.path, headers=headers)


@ON_ONE_DATABASE
async def test_every_role_may_use_the_routes_of_its_scopes_and_no_others(
    api: httpx.AsyncClient, admin: dict[str, str], secured: Settings
) -> None:
    callers: dict[str, tuple[dict[str, str], frozenset[Scope]]] = {"admin": (admin, SCOPES_OF[Role.ADMIN])}
    for role in (Role.COUNSELOR, Role.CURATOR, Role.OPERATOR):
        await add_person(api, admin, role, role)
        callers[role] = (await signed_in(api, role), SCOPES_OF[role])
    service_key = secured.mh.service_key
    assert service_key is not None
    own_services = frozenset({Scope.INTERNAL, Scope.CONVERSATIONS_READ})
    callers["the platform's services"] = (bearer(service_key.get_secret_value()), own_services)
    # It would end the session that asks.
    for call in every_call(create_app(secured), without=[f"{API}/sessions/current"]):
        for name, (headers, scopes) in callers.items():
            status = (await called(api, call, headers)).status_code
            allowed = call.scopes is None or call.scopes <= scopes
            # What may be called is refused for its missing body or because nothing has this id.
            assert (status == 403) is not allowed, f"{name}: {call.method} {call.path} answered {status}"
            assert status != 401 or call.scopes is None, f"{name}: {call.method} {call.path} answered {status}"


@ON_ONE_DATABASE
async def test_no_route_but_the_public_ones_takes_a_missing_or_wrong_credential(
    api: httpx.AsyncClient, admin: dict[str, str], secured: Settings, query: RunQuery
) -> None:
    revoked = await make_key(api, admin, Scope.CONVERSATIONS_READ)
    await api.delete(f"{API}/api-keys/{revoked['api_key']['id']}", headers=admin)
    expired = await make_key(api, admin, Scope.CONVERSATIONS_READ, expires_at="2999-01-01T00:00:00Z")
    end = "UPDATE api_keys SET expires_at = '2026-01-01 00:00:00' WHERE id = :id"
    await query(end, id=expired["api_key"]["id"])
    await add_person(api, admin, "ended", Role.ADMIN)
    ended = await signed_in(api, "ended")
    await query("UPDATE sessions SET idle_until = '2026-01-01 00:00:00' WHERE user_id <> 1")
    whole = make_token(TokenKind.API_KEY)
    wrong = {
        "none": {},
        "revoked": bearer(revoked["token"]),
        "expired": bearer(expired["token"]),
        "ended session": ended,
        "of nobody": bearer(whole),
        "of no session": bearer(make_token(TokenKind.SESSION)),
        "another service key": bearer(make_token(TokenKind.SERVICE_KEY)),
        "setup token": bearer(make_token(TokenKind.SETUP)),
        "not whole": bearer(whole[:-1]),
        "no token": bearer("secret"),
        "password": {"Authorization": "Basic cm9vdDpjb3JyZWN0"},
    }
    for call in every_call(create_app(secured)):
        for name, headers in wrong.items():
            response = await called(api, call, headers)
            if call.scopes is None:
                assert response.status_code != 403, f"{name}: {call.method} {call.path}"
            else:
                assert response.status_code == 401, f"{name}: {call.method} {call.path}"
                assert response.headers["WWW-Authenticate"] == "Bearer"


@ON_ONE_DATABASE
async def test_who_may_not_is_told_so_whatever_the_body(
    api: httpx.AsyncClient, admin: dict[str, str], secured: Settings
) -> None:
    await add_person(api, admin, "olga", Role.OPERATOR)
    await add_person(api, admin, "ann", Role.COUNSELOR)
    callers = {Role.OPERATOR: await signed_in(api, "olga"), Role.COUNSELOR: await signed_in(api, "ann")}
    broken = {"Content-Type": "application/json"}
    for call in every_call(create_app(secured)):
        if call.method == "GET" or call.scopes is None:
            continue
        nobody = await api.request(call.method, call.path, content=b"no JSON", headers=broken)
        assert nobody.status_code == 401, f"{call.method} {call.path}"
        for role, headers in callers.items():
            if not call.scopes <= SCOPES_OF[role]:
                refused = await api.request(call.method, call.path, content=b"no JSON", headers={**broken, **headers})
                assert refused.status_code == 403, f"{role}: {call.method} {call.path}"


async def test_a_caller_is_looked_up_once(
    api: httpx.AsyncClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the route's declaration is checked before its body is read, and its dependencies ask for the caller."""
    found: list[bytes] = []
    find = CredentialReader.find_session

    async def note(reader: CredentialReader, token_hash: bytes) -> Owner | None:
        found.append(token_hash)
        return await find(reader, token_hash)

    monkeypatch.setattr(CredentialReader, "find_session", note)
    assert (await api.post(f"{API}/conversations", json=NEW, headers=admin)).status_code == 201
    assert len(found) == 1


async def test_a_disabled_account_can_do_nothing_from_then_on(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user_id = await add_person(api, admin, "ann", Role.COUNSELOR)
    ann = await signed_in(api, "ann")
    key = bearer((await make_key(api, ann, Scope.CONVERSATIONS_READ))["token"])
    assert (await api.get(f"{API}/conversations", headers=key)).status_code == 200
    await api.patch(f"{API}/users/{user_id}", json={"state": "disabled"}, headers=admin)
    for headers in (ann, key):
        assert (await api.get(f"{API}/conversations", headers=headers)).status_code == 401
    refused = await api.post(f"{API}/sessions", json={"username": "ann", "password": PASSWORD})
    assert refused.status_code == 401


async def test_a_key_never_does_more_than_its_owner_may_now(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user_id = await add_person(api, admin, "cleo", Role.CURATOR)
    cleo = await signed_in(api, "cleo")
    key = bearer((await make_key(api, cleo, Scope.CONVERSATIONS_READ, Scope.CONVERSATIONS_WRITE))["token"])
    assert (await api.post(f"{API}/conversations", json=NEW, headers=key)).status_code == 201
    await api.patch(f"{API}/users/{user_id}", json={"role": "counselor"}, headers=admin)
    refused = await api.post(f"{API}/conversations", json=NEW, headers=key)
    assert (refused.status_code, refused.json()["missing_scopes"]) == (403, ["conversations:write"])
    assert "conversations:write" in refused.json()["detail"]
    assert (await api.get(f"{API}/conversations", headers=key)).status_code == 200


async def test_no_key_makes_a_stronger_one(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    weak = bearer((await make_key(api, admin, Scope.CONVERSATIONS_READ))["token"])
    for scopes in (["users:manage"], ["conversations:read", "conversations:delete"]):
        refused = await api.post(f"{API}/api-keys", json={"name": "stronger", "scopes": scopes}, headers=weak)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == "scopes"
    strong = (await make_key(api, admin, Scope.CONVERSATIONS_READ, Scope.CONVERSATIONS_DELETE))["api_key"]["id"]
    assert (await api.post(f"{API}/api-keys/{strong}/rotate", headers=weak)).status_code == 400
    # It was not revoked on the way.
    kept = (await api.get(f"{API}/api-keys", headers=admin)).json()["items"]
    assert {one["id"]: one["revoked_at"] for one in kept}[strong] is None


async def test_scopes_that_are_of_no_use_alone_or_of_no_person_are_refused(
    api: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for scopes in (["search"], ["answers"], ["internal"], ["conversations:read", "internal"], [], ["everything"]):
        new = {"name": "test", "scopes": scopes}
        assert (await api.post(f"{API}/api-keys", json=new, headers=admin)).status_code == 422
    refused = await api.post(f"{API}/api-keys", json={"name": "test", "scopes": ["search"]}, headers=admin)
    assert "conversations:read" in refused.text


async def test_a_rotated_key_is_another_with_the_same_rights(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    old = await make_key(api, admin, Scope.CONVERSATIONS_READ, expires_at="2999-01-01T00:00:00Z")
    new = (await api.post(f"{API}/api-keys/{old['api_key']['id']}/rotate", headers=admin)).json()
    assert (await api.get(f"{API}/me", headers=bearer(old["token"]))).status_code == 401
    assert (await api.get(f"{API}/me", headers=bearer(new["token"]))).json()["scopes"] == ["conversations:read"]
    assert new["api_key"]["expires_at"] == old["api_key"]["expires_at"]
    again = await api.post(f"{API}/api-keys/{old['api_key']['id']}/rotate", headers=admin)
    assert again.status_code == 409


async def test_strangers_keys_sessions_and_answers_do_not_exist(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    ann_id = await add_person(api, admin, "ann", Role.COUNSELOR)
    await add_person(api, admin, "ben", Role.COUNSELOR)
    ann, ben = await signed_in(api, "ann"), await signed_in(api, "ben")
    key = (await make_key(api, ann, Scope.CONVERSATIONS_READ))["api_key"]["id"]
    session = (await api.get(f"{API}/sessions", headers=ann)).json()["items"][0]["id"]
    answer = {
        "answer_id": "0190f3c2-7d0e-7c4e-9b1a-2f4f6a1b8c11",
        # Forged: it becomes Ann's all the same.
        "user_id": "ben",
        "question": "A question",
        "hits": [],
        "answer": "An answer",
        "model": "none",
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        "latency_ms": 1.0,
    }
    assert (await api.post("/internal/history", json=answer, headers=ann)).json()["user_id"] == str(ann_id)
    of_ann = [
        ("DELETE", f"{API}/api-keys/{key}"),
        ("POST", f"{API}/api-keys/{key}/rotate"),
        ("DELETE", f"{API}/sessions/{session}"),
        ("GET", f"{API}/history/{answer['answer_id']}"),
        ("DELETE", f"{API}/history/{answer['answer_id']}"),
        ("GET", f"{API}/api-keys?user_id={ann_id}"),
    ]
    forged = {**ben, "X-User-Id": str(ann_id)}
    for method, path in of_ann:
        for headers in (ben, forged):
            assert (await api.request(method, path, headers=headers)).status_code == 404, f"{method} {path}"
    assert (await api.get(f"{API}/history", headers=forged)).json()["items"] == []
    assert (await api.delete(f"{API}/history", headers=forged)).json() == {"deleted": 0}
    rated = await api.put(f"/internal/history/{answer['answer_id']}/feedback", json={"rating": "up"}, headers=forged)
    assert rated.status_code == 404
    assert len((await api.get(f"{API}/history", headers=ann)).json()["items"]) == 1
    new = {"name": "for ann", "scopes": ["conversations:read"], "user_id": ann_id}
    assert (await api.post(f"{API}/api-keys", json=new, headers=ben)).status_code == 404
    assert (await api.post(f"{API}/api-keys", json=new, headers=admin)).status_code == 201


async def test_nobody_gets_anothers_result_by_an_idempotency_key(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    await add_person(api, admin, "cleo", Role.CURATOR)
    cleo = await signed_in(api, "cleo")
    key = {"Idempotency-Key": "1"}
    first = await api.post(f"{API}/conversations", json=NEW, headers={**admin, **key})
    again = await api.post(f"{API}/conversations", json=NEW, headers={**admin, **key})
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert (await api.post(f"{API}/conversations", json=NEW, headers={**cleo, **key})).status_code == 422


async def test_the_first_visitor_does_not_become_administrator(api: httpx.AsyncClient, secured: Settings) -> None:
    first = {"username": "mallory", "password": PASSWORD}
    for token in ("", make_token(TokenKind.SETUP)):
        assert (await api.post(f"{API}/setup", json={**first, "token": token})).status_code == 401
    assert (await api.post(f"{API}/sessions", json=first)).status_code == 401
    assert await in_transaction(secured, lambda session: prepare_setup(session, secured.auth)) is not None


async def test_a_setup_token_works_once(api: httpx.AsyncClient, secured: Settings) -> None:
    text = await in_transaction(secured, lambda session: prepare_setup(session, secured.auth))
    assert text is not None
    # Another replica starts: the token was printed already.
    assert await in_transaction(secured, lambda session: prepare_setup(session, secured.auth)) is None
    first = {"token": text.split()[-1], "username": "root", "password": PASSWORD}
    assert (await api.post(f"{API}/setup", json=first)).status_code == 201
    assert (await api.post(f"{API}/setup", json={**first, "username": "second"})).status_code == 401
    assert await in_transaction(secured, lambda session: prepare_setup(session, secured.auth)) is None


async def test_settings_can_name_the_first_administrator_and_never_change_one(
    api: httpx.AsyncClient, secured: Settings
) -> None:
    def named(password: str) -> FirstAdministratorSettings:
        return FirstAdministratorSettings(mode="required", admin_username="root", admin_password=SecretStr(password))

    text = await in_transaction(secured, lambda session: prepare_setup(session, named(PASSWORD)))
    assert text is not None
    assert PASSWORD not in text
    assert await in_transaction(secured, lambda session: prepare_setup(session, named("another long one"))) is None
    headers = await signed_in(api, "root")
    assert (await api.get(f"{API}/me", headers=headers)).json()["role"] == "admin"


async def test_nobody_learns_whether_a_username_exists(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    new = {"username": "robot", "role": "counselor", "kind": "service"}
    await api.post(f"{API}/users", json=new, headers=admin)
    answers = []
    for username in ("root", "nobody", "robot", "ROOT"):
        response = await api.post(f"{API}/sessions", json={"username": username, "password": "wrong password!"})
        answers.append((response.status_code, response.json()["detail"]))
    assert answers == [(401, "The username or the password is wrong.")] * 4


async def test_a_password_may_be_typed_in_any_normal_form(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    composed, decomposed = "caf\u00e9 au lait 12", "cafe\u0301 au lait 12"
    new = {"username": "zoe", "role": "counselor", "password": decomposed}
    assert (await api.post(f"{API}/users", json=new, headers=admin)).status_code == 201
    for typed in (composed, decomposed):
        await signed_in(api, "zoe", typed)


async def test_passwords_cannot_be_guessed_for_long(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    wrong = {"username": "root", "password": "wrong password!"}
    # One attempt was made when the administrator signed in.
    statuses = [(await api.post(f"{API}/sessions", json=wrong)).status_code for _ in range(9)]
    assert statuses == [401] * 9
    refused = await api.post(f"{API}/sessions", json={**wrong, "password": PASSWORD})
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 15 * 60
    # Others can still sign in, and who has signed in can go on.
    await add_person(api, admin, "ann", Role.COUNSELOR)
    await signed_in(api, "ann")


async def test_who_changes_their_password_ends_the_other_sessions(
    api: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    other = await signed_in(api, "root")
    wrong = {"current_password": "wrong password!", "new_password": "another long phrase"}
    refused = await api.put(f"{API}/me/password", json=wrong, headers=admin)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "current_password")
    right = {"current_password": PASSWORD, "new_password": "another long phrase"}
    assert (await api.put(f"{API}/me/password", json=right, headers=admin)).status_code == 204
    assert (await api.get(f"{API}/me", headers=other)).status_code == 401
    assert (await api.get(f"{API}/me", headers=admin)).status_code == 200
    await signed_in(api, "root", "another long phrase")


async def test_a_password_changed_with_a_key_ends_all_sessions(
    api: httpx.AsyncClient, admin: dict[str, str], query: RunQuery
) -> None:
    """Also the one whose id is the key's."""
    made = await make_key(api, admin, Scope.CONVERSATIONS_READ)
    session = (await api.get(f"{API}/me", headers=admin)).json()["credential"]["id"]
    await query("UPDATE api_keys SET id = :session WHERE id = :key", session=session, key=made["api_key"]["id"])
    change = {"current_password": PASSWORD, "new_password": "another long phrase"}
    assert (await api.put(f"{API}/me/password", json=change, headers=bearer(made["token"]))).status_code == 204
    assert (await api.get(f"{API}/me", headers=admin)).status_code == 401


async def test_the_last_administrator_cannot_be_locked_out(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    for change in ({"state": "disabled"}, {"role": "operator"}):
        assert (await api.patch(f"{API}/users/1", json=change, headers=admin)).status_code in (404, 409)
    me = (await api.get(f"{API}/me", headers=admin)).json()["id"]
    for change in ({"state": "disabled"}, {"role": "operator"}):
        assert (await api.patch(f"{API}/users/{me}", json=change, headers=admin)).status_code == 409
    await add_person(api, admin, "second", Role.ADMIN)
    assert (await api.patch(f"{API}/users/{me}", json={"role": "operator"}, headers=admin)).status_code == 200


async def test_a_browser_signs_in_with_a_cookie_that_scripts_and_other_sites_cannot_use(
    secured: Settings, api: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    new = {"username": "root", "password": PASSWORD, "cookie": True}
    own = {"Origin": "http://localhost"}
    for headers, status in (({"Origin": "https://evil.example"}, 403), ({}, 403), (own, 201)):
        response = await api.post("http://localhost/api/v1/sessions", json=new, headers=headers)
        assert response.status_code == status
    assert response.json()["token"] is None
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("mh_session=mh_ses_")
    for part in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert part in cookie
    sent = {"Cookie": cookie.split(";")[0]}
    path = "http://localhost/api/v1/conversations"
    assert (await api.get(path, headers=sent)).status_code == 200
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({}, 403),
        (own, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ):
        assert (await api.post(path, json=NEW, headers={**sent, **headers})).status_code == status, headers
    # Both at once is a mistake of the caller, not a choice of ours.
    assert (await api.get(path, headers={**sent, **admin})).status_code == 400


async def test_a_browser_on_another_machine_needs_https(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    new = {"username": "root", "password": PASSWORD, "cookie": True}
    plain = await api.post("http://mh.example/api/v1/sessions", json=new, headers={"Origin": "http://mh.example"})
    assert plain.status_code == 403
    assert "HTTPS" in plain.json()["detail"]
    # As the gateway passes it on.
    behind = {"Origin": "https://mh.example", "X-Forwarded-Proto": "https"}
    secure = await api.post("http://mh.example/api/v1/sessions", json=new, headers=behind)
    assert secure.status_code == 201
    assert secure.headers["Set-Cookie"].startswith("__Host-mh_session=mh_ses_")
    assert "Secure" in secure.headers["Set-Cookie"]


async def test_signing_out_ends_the_session(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    other = await signed_in(api, "root")
    sessions = (await api.get(f"{API}/sessions", headers=admin)).json()["items"]
    assert [one["current"] for one in sessions] == [False, True]
    assert (await api.delete(f"{API}/sessions/current", headers=other)).status_code == 204
    assert (await api.get(f"{API}/me", headers=other)).status_code == 401
    assert (await api.get(f"{API}/me", headers=admin)).status_code == 200


async def test_secrets_are_stored_as_hashes_and_shown_once(
    api: httpx.AsyncClient, admin: dict[str, str], query: RunQuery, capfd: pytest.CaptureFixture[str]
) -> None:
    made = await make_key(api, admin, Scope.CONVERSATIONS_READ)
    listed = (await api.get(f"{API}/api-keys", headers=admin)).text
    assert made["token"] not in listed
    stored = [*await query("SELECT * FROM api_keys"), *await query("SELECT * FROM sessions")]
    stored += await query("SELECT * FROM users")
    for secret in (made["token"], admin["Authorization"].split()[1], PASSWORD):
        assert secret not in str(stored)
        assert secret not in "".join(capfd.readouterr())


async def test_the_last_use_of_a_key_is_noted(
    secured: Settings, api: httpx.AsyncClient, admin: dict[str, str], run_app: RunApp
) -> None:
    made = await make_key(api, admin, Scope.CONVERSATIONS_READ)
    assert made["api_key"]["last_used_at"] is None
    # It writes what it has noted when it stops.
    async with run_app(secured) as other:
        assert (await other.get(f"{API}/me", headers=bearer(made["token"]))).status_code == 200
    listed = (await api.get(f"{API}/api-keys", headers=admin)).json()["items"]
    assert listed[0]["last_used_at"] is not None


async def test_operators_with_the_database_can_make_keys_for_programs_only(
    api: httpx.AsyncClient, admin: dict[str, str], secured: Settings
) -> None:
    token = await in_transaction(secured, lambda session: add_key(session, "loader", Role.CURATOR))
    assert token is not None
    me = (await api.get(f"{API}/me", headers=bearer(token))).json()
    assert (me["username"], me["kind"]) == ("loader", "service")
    assert set(me["scopes"]) == SCOPES_OF[Role.CURATOR]
    second = await in_transaction(secured, lambda session: add_key(session, "loader", Role.CURATOR))
    assert second not in (None, token)
    for username, role in (("root", Role.ADMIN), ("loader", Role.ADMIN)):
        with pytest.raises(DomainError, match="is not a service account with the role admin"):
            await in_transaction(secured, partial(add_key, username=username, role=role))


async def test_accounts_have_plain_errors(api: httpx.AsyncClient, admin: dict[str, str]) -> None:
    await add_person(api, admin, "ann", Role.COUNSELOR)
    taken = await api.post(f"{API}/users", json={"username": "ann", "role": "counselor"}, headers=admin)
    assert (taken.status_code, taken.json()["detail"]) == (409, "The username ann is taken. Choose another.")
    for new in (
        {"username": "has space", "role": "counselor"},
        {"username": "ok", "role": "boss"},
        {"username": "ok", "role": "counselor", "password": "short"},
        {"username": "ok", "role": "counselor", "is_admin": True},
    ):
        assert (await api.post(f"{API}/users", json=new, headers=admin)).status_code == 422
    robot = {"username": "robot", "role": "counselor", "kind": "service", "password": PASSWORD}
    assert (await api.post(f"{API}/users", json=robot, headers=admin)).status_code == 400
    assert (await api.patch(f"{API}/users/{ABSENT}", json={"role": "admin"}, headers=admin)).status_code == 404


async def test_without_accounts_only_requests_to_this_machine_are_answered(client: httpx.AsyncClient) -> None:
    """A web page whose own name has been given a loopback address must not read conversations."""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7"):
        refused = await client.get(f"{API}/conversations", headers={"Host": host})
        assert (refused.status_code, "AUTH_HOSTS" in refused.json()["detail"]) == (403, True)
        assert (await client.post(f"{API}/conversations", json=NEW, headers={"Host": host})).status_code == 403
        assert (await client.get("/livez", headers={"Host": host})).status_code == 200
    for host in ("localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"):
        assert (await client.get(f"{API}/conversations", headers={"Host": host})).status_code == 200


async def test_without_accounts_everybody_may_do_everything_and_credentials_are_ignored(
    client: httpx.AsyncClient,
) -> None:
    always_sent = bearer("sk-no-key-of-this-platform")
    assert (await client.post(f"{API}/conversations", json=NEW, headers=always_sent)).status_code == 201
    me = (await client.get(f"{API}/me", headers=always_sent)).json()
    assert (me["username"], me["kind"]) == ("local", "local")
    assert set(me["scopes"]) == set(Scope)
    for path in ("/users", "/api-keys", "/sessions"):
        refused = await client.get(f"{API}{path}")
        assert refused.status_code == 409
        assert "AUTH_MODE=open" in refused.json()["detail"]
