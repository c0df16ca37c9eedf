"""Signing in with an OpenID provider: what works, and whom it gives which account."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import redis
from conversations_api.settings import Settings
from mh_devtools import servers
from mh_devtools.stubs.oidc_stub import CLIENT_SECRET, StubOidc, new_key
from mh_devtools.testing.access import PASSWORD
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.oidc import (
    API,
    BASE,
    BROWSER,
    CLERK,
    NO_COOKIES,
    OidcPlatform,
    begin,
    cookie_of,
    cookies_of,
    refused,
    with_accounts,
    with_provider,
)


@pytest.fixture
def stub() -> Iterator[StubOidc]:
    with StubOidc.running() as stub:
        yield stub


@pytest.fixture
def secured(settings: Settings) -> Settings:
    """Settings with accounts. Attempts to sign in of earlier tests are forgotten."""
    redis.Redis.from_url(settings.redis.url).flushdb()
    return with_accounts(settings)


@pytest.fixture
async def platform(secured: Settings, stub: StubOidc, run_app: RunApp) -> AsyncIterator[OidcPlatform]:
    """A platform that adds nobody by signing in."""
    settings = with_provider(secured, stub.issuer)
    async with run_app(settings) as api:
        yield await begin(api, settings)


async def test_a_linked_person_signs_in_and_gets_where_they_wanted(platform: OidcPlatform, stub: StubOidc) -> None:
    ann = await platform.add("ann")
    assert (await platform.link(ann, CLERK)).status_code == 201
    assert (await platform.api.get(f"{API}/oidc")).json() == {"name": "Example Practice"}
    started = await platform.start(return_to="/docs?a=1#search")
    assert (started.status_code, started.headers["Cache-Control"]) == (303, "no-store")
    for part in ("mh_oidc=", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"):
        assert part in started.headers["Set-Cookie"]
    response = await platform.come_back(started, stub.visit(started.headers["Location"], CLERK))
    assert response.headers["Location"] == "/docs?a=1#search"
    me = await platform.who(response)
    assert (me["id"], me["username"], me["role"], me["credential"]["kind"]) == (ann, "ann", "counselor", "session")
    session = next(one for one in response.headers.get_list("Set-Cookie") if one.startswith("mh_session="))
    for part in ("mh_session=mh_ses_", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part in session
    assert 'mh_oidc=""' in response.headers.get_list("Set-Cookie")[0]
    user = (await platform.api.get(f"{API}/users/{ann}", headers=platform.admin)).json()
    assert user["last_login_at"] is not None
    [redeemed] = stub.redeemed
    assert redeemed["authorization"].startswith("Basic ")
    assert redeemed["redirect_uri"] == f"{BASE}{API}/oidc/callback"
    # Neither the state nor the challenge tells the verifier.
    assert redeemed["code_verifier"] not in started.headers["Location"]


@pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)
async def test_the_platform_proves_who_it_is_as_the_provider_wants(
    secured: Settings, stub: StubOidc, run_app: RunApp
) -> None:
    stub.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    settings = with_provider(secured, stub.issuer)
    async with run_app(settings) as api:
        platform = await begin(api, settings)
        await platform.link(await platform.add("ann"), CLERK)
        await platform.who(await platform.sign_in(stub, CLERK))
    [redeemed] = stub.redeemed
    assert (redeemed["client_secret"], redeemed["authorization"]) == (CLIENT_SECRET, "")


async def test_behind_https_the_cookies_are_for_https_and_this_host_only(
    platform: OidcPlatform, stub: StubOidc
) -> None:
    await platform.link(await platform.add("ann"), CLERK)
    secure = {"X-Forwarded-Proto": "https", **BROWSER}
    started = await platform.api.get(f"http://mh.example{API}/oidc/start", headers=secure)
    assert started.headers["Set-Cookie"].startswith("__Host-mh_oidc=")
    assert "Secure" in started.headers["Set-Cookie"]
    answer = stub.visit(started.headers["Location"], CLERK)
    headers = {**secure, "Cookie": cookie_of(started)}
    response = await platform.api.get(f"http://mh.example{API}/oidc/callback", params=answer, headers=headers)
    session = next(one for one in response.headers.get_list("Set-Cookie") if "mh_session" in one)
    assert session.startswith("__Host-mh_session=mh_ses_")
    assert "Secure" in session
    plain = await platform.api.get(f"http://mh.example{API}/oidc/start", headers=BROWSER)
    assert (plain.status_code, "Set-Cookie" in plain.headers) == (403, False)


async def test_a_stranger_is_told_what_an_administrator_needs(platform: OidcPlatform, stub: StubOidc) -> None:
    assert refused(await platform.sign_in(stub, CLERK), "no account here", stub.issuer, CLERK)
    users = (await platform.api.get(f"{API}/users", headers=platform.admin)).json()["items"]
    assert [user["username"] for user in users] == ["root"]


async def test_a_disabled_account_stays_closed(platform: OidcPlatform, stub: StubOidc) -> None:
    ann = await platform.add("ann")
    await platform.link(ann, CLERK)
    await platform.who(await platform.sign_in(stub, CLERK))
    await platform.api.patch(f"{API}/users/{ann}", json={"state": "disabled"}, headers=platform.admin)
    assert refused(await platform.sign_in(stub, CLERK), "disabled")


async def test_an_unlinked_person_is_signed_out_and_stays_out(platform: OidcPlatform, stub: StubOidc) -> None:
    ann, bob = await platform.add("ann"), await platform.add("bob")
    identity = (await platform.link(ann, CLERK)).json()
    response = await platform.sign_in(stub, CLERK)
    await platform.who(response)
    listed = await platform.api.get(f"{API}/users/{ann}/identities", headers=platform.admin)
    assert [(one["issuer"], one["subject"]) for one in listed.json()["items"]] == [(stub.issuer, CLERK)]
    assert (await platform.link(bob, CLERK)).status_code == 409
    path = f"{API}/users/{bob}/identities/{identity['id']}"
    assert (await platform.api.delete(path, headers=platform.admin)).status_code == 404
    path = f"{API}/users/{ann}/identities/{identity['id']}"
    assert (await platform.api.delete(path, headers=platform.admin)).status_code == 204
    session = {"Cookie": next(one for one in cookies_of(response) if one.startswith("mh_session="))}
    assert (await platform.api.get(f"{BASE}{API}/me", headers=session)).status_code == 401
    assert refused(await platform.sign_in(stub, CLERK), "no account here")


async def test_only_people_are_linked_and_only_administrators_link(platform: OidcPlatform) -> None:
    robot = await platform.add("robot", kind="service")
    assert (await platform.link(robot, CLERK)).status_code == 400
    assert (await platform.link(99, CLERK)).status_code == 404
    ann = await platform.add("ann", password=PASSWORD)
    for subject in ("", " user", "user ", "us\u00e9r", "u" * 256):
        assert (await platform.link(ann, subject)).status_code == 422, subject
    session = await platform.api.post(f"{API}/sessions", json={"username": "ann", "password": PASSWORD})
    headers = {"Authorization": f"Bearer {session.json()['token']}"}
    path = f"{API}/users/{ann}/identities"
    assert (await platform.api.post(path, json={"subject": CLERK}, headers=headers)).status_code == 403


async def test_subjects_are_compared_as_they_are_written(platform: OidcPlatform, stub: StubOidc) -> None:
    await platform.link(await platform.add("ann"), "User_A")
    for other in ("user_a", "User_A ", "User_\u00c0"):
        assert refused(await platform.sign_in(stub, other)), other
    assert (await platform.who(await platform.sign_in(stub, "User_A")))["username"] == "ann"


class TestNewAccounts:
    """With OIDC_DEFAULT_ROLE."""

    @pytest.fixture
    async def platform(self, secured: Settings, stub: StubOidc, run_app: RunApp) -> AsyncIterator[OidcPlatform]:
        settings = with_provider(secured, stub.issuer, default_role="counselor")
        async with run_app(settings) as api:
            yield await begin(api, settings)

    async def test_a_stranger_gets_an_account_with_that_role_once(self, platform: OidcPlatform, stub: StubOidc) -> None:
        stub.claims[CLERK] = {"preferred_username": "ann", "name": "Ann Example", "email": "ann@example.org"}
        me = await platform.who(await platform.sign_in(stub, CLERK))
        assert (me["username"], me["display_name"], me["role"]) == ("ann", "Ann Example", "counselor")
        assert (await platform.who(await platform.sign_in(stub, CLERK)))["id"] == me["id"]
        user = (await platform.api.get(f"{API}/users/{me['id']}", headers=platform.admin)).json()
        # It says nothing of whether the address is Ann's.
        assert (user["email"], user["has_password"]) == (None, False)

    async def test_nobody_gets_anothers_account_by_its_name(self, platform: OidcPlatform, stub: StubOidc) -> None:
        stub.claims[CLERK] = {"preferred_username": "root", "email": "root@example.org", "email_verified": True}
        me = await platform.who(await platform.sign_in(stub, CLERK))
        assert (me["username"], me["role"]) == ("root@example.org", "counselor")
        stub.claims["other"] = {"preferred_username": "no name\n", "name": "\u200b"}
        me = await platform.who(await platform.sign_in(stub, "other"))
        assert me["username"].startswith("person-")
        assert me["display_name"] is None
        stub.claims["third"] = {"preferred_username": "platform"}
        assert (await platform.who(await platform.sign_in(stub, "third")))["username"].startswith("person-")


async def test_the_first_to_sign_in_does_not_become_administrator(
    secured: Settings, stub: StubOidc, run_app: RunApp
) -> None:
    settings = with_provider(secured, stub.issuer, default_role="curator", link_by_email=True)
    async with run_app(settings) as api:
        api.cookies.jar.set_policy(NO_COOKIES)
        assert refused(await OidcPlatform(api, {}).sign_in(stub, CLERK), "no account here")
        # It did not end the set-up either.
        assert (await begin(api, settings)).admin


class TestLinkingByEmail:
    """With OIDC_LINK_BY_EMAIL."""

    @pytest.fixture
    async def platform(self, secured: Settings, stub: StubOidc, run_app: RunApp) -> AsyncIterator[OidcPlatform]:
        settings = with_provider(secured, stub.issuer, link_by_email=True)
        async with run_app(settings) as api:
            yield await begin(api, settings)

    async def test_a_verified_address_finds_the_only_account_that_has_it(
        self, platform: OidcPlatform, stub: StubOidc
    ) -> None:
        ann = await platform.add("ann", email="Ann@example.org")
        stub.claims[CLERK] = {"email": "ann@Example.org", "email_verified": True}
        assert (await platform.who(await platform.sign_in(stub, CLERK)))["id"] == ann
        # Once linked, the address is of no account any more.
        stub.claims[CLERK] = {"email": "other@example.org", "email_verified": False}
        assert (await platform.who(await platform.sign_in(stub, CLERK)))["id"] == ann
        # A second person with the same address does not get it.
        stub.claims["second"] = {"email": "ann@example.org", "email_verified": True}
        assert refused(await platform.sign_in(stub, "second"), "no account here")

    async def test_an_address_that_is_not_verified_or_not_one_persons_finds_nothing(
        self, platform: OidcPlatform, stub: StubOidc
    ) -> None:
        await platform.add("ann", email="ann@example.org")
        await platform.add("kim", email="kim@example.org")
        await platform.add("kim2", email="kim@example.org")
        await platform.add("robot", kind="service", email="robot@example.org")
        gone = await platform.add("gone", email="gone@example.org")
        await platform.api.patch(f"{API}/users/{gone}", json={"state": "disabled"}, headers=platform.admin)
        wrong: list[dict[str, Any]] = [
            {"email": "ann@example.org"},
            {"email": "ann@example.org", "email_verified": False},
            {"email": "ann@example.org", "email_verified": "true"},
            {"email": "ann@example.org", "email_verified": 1},
            # The databases' comparisons and Unicode take these for Ann's and Kim's.
            {"email": "\u00e4nn@example.org", "email_verified": True},
            {"email": "\u212aim@example.org", "email_verified": True},
            {"email": "ann@example.org ", "email_verified": True},
            {"email": "kim@example.org", "email_verified": True},
            {"email": "robot@example.org", "email_verified": True},
            {"email": "gone@example.org", "email_verified": True},
            {"email": "", "email_verified": True},
            {"email": ["ann@example.org"], "email_verified": True},
        ]
        for number, claims in enumerate(wrong):
            stub.claims[f"user_{number}"] = claims
            assert refused(await platform.sign_in(stub, f"user_{number}"), "no account here"), claims


async def test_a_verified_address_alone_gives_no_account(platform: OidcPlatform, stub: StubOidc) -> None:
    await platform.add("ann", email="ann@example.org")
    stub.claims[CLERK] = {"email": "ann@example.org", "email_verified": True}
    assert refused(await platform.sign_in(stub, CLERK), "no account here")


async def test_a_new_key_of_the_provider_is_fetched_once(platform: OidcPlatform, stub: StubOidc) -> None:
    await platform.link(await platform.add("ann"), CLERK)
    for _ in range(2):
        await platform.who(await platform.sign_in(stub, CLERK))
    assert stub.fetched.count("/keys") == 1
    stub.key = new_key("second")
    stub.published.append(stub.key)
    for _ in range(2):
        await platform.who(await platform.sign_in(stub, CLERK))
    assert stub.fetched.count("/keys") == 2


async def test_a_provider_that_is_away_is_said_in_plain_words(platform: OidcPlatform, stub: StubOidc) -> None:
    await platform.link(await platform.add("ann"), CLERK)
    stub.is_down = True
    response = await platform.start()
    assert (response.status_code, "Set-Cookie" in response.headers) == (503, False)
    assert "sign-in service cannot be reached" in response.text
    assert int(response.headers["Retry-After"]) > 0
    program = await platform.api.get(f"{BASE}{API}/oidc/start")
    assert program.headers["Content-Type"] == "application/problem+json"
    stub.is_down = False
    started = await platform.start()
    answer = stub.visit(started.headers["Location"], CLERK)
    stub.is_down = True
    response = await platform.come_back(started, answer)
    assert (response.status_code, any("mh_session" in one for one in cookies_of(response))) == (503, False)
    stub.is_down = False
    await platform.who(await platform.sign_in(stub, CLERK))


async def test_nothing_is_kept_or_logged_that_could_be_used(
    platform: OidcPlatform,
    stub: StubOidc,
    query: RunQuery,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await platform.link(await platform.add("ann"), CLERK)
    started = await platform.start()
    [row] = await query("SELECT state_hash, browser_hash, return_to FROM oidc_sign_ins")
    state = parse_qs(urlsplit(started.headers["Location"]).query)["state"][0]
    secret = cookie_of(started).partition("=")[2]
    assert not {state.encode(), secret.encode()} & set(row)
    answer = stub.visit(started.headers["Location"], CLERK)
    response = await platform.come_back(started, answer)
    await platform.come_back(started, answer)
    assert await query("SELECT state_hash FROM oidc_sign_ins") == []
    told = caplog.text + "".join(capsys.readouterr())
    session = next(one for one in cookies_of(response) if one.startswith("mh_session=")).partition("=")[2]
    [redeemed] = stub.redeemed
    for used in (state, secret, answer["code"], session, redeemed["code_verifier"], CLIENT_SECRET):
        assert used not in told


async def test_without_a_provider_nobody_is_offered_one(secured: Settings, run_app: RunApp) -> None:
    async with run_app(secured) as api:
        await begin(api, secured)
        assert (await api.get(f"{API}/oidc")).json() == {"name": None}
        for path in ("start", "callback"):
            assert (await api.get(f"{BASE}{API}/oidc/{path}", headers=BROWSER)).status_code == 409


@pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)
async def test_a_real_provider_signs_people_in(secured: Settings, run_app: RunApp, tmp_path: Path) -> None:
    port = servers.free_port()
    person = {"sub": CLERK, "preferred_username": "ann", "email": "ann@example.org", "email_verified": True}
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--require-nonce",
        "true",
    ]
    running = servers.start("provider", [*command, "--user-claims", json.dumps(person)], tmp_path / "provider.log")
    try:
        servers.wait_until(running, lambda: servers.listens(port))
        settings = with_provider(secured, f"http://127.0.0.1:{port}", default_role="counselor")
        async with run_app(settings) as api, httpx.AsyncClient() as browser:
            platform = await begin(api, settings)
            started = await platform.start(return_to="/docs")
            page = await browser.get(started.headers["Location"])
            assert page.status_code == 200
            sent_back = await browser.post(started.headers["Location"], data={"sub": CLERK})
            answer = dict(httpx.URL(sent_back.headers["Location"]).params)
            response = await platform.come_back(started, answer)
            me = await platform.who(response)
            assert (me["username"], me["role"], response.headers["Location"]) == ("ann", "counselor", "/docs")
            # The way back works once.
            assert refused(await platform.come_back(started, answer), "Start again")
            started = await platform.start()
            denied = await browser.post(started.headers["Location"], data={"action": "deny"})
            answer = dict(httpx.URL(denied.headers["Location"]).params)
            answer.setdefault("state", parse_qs(urlsplit(started.headers["Location"]).query)["state"][0])
            assert refused(await platform.come_back(started, answer), "access_denied")
    finally:
        running.stop()
