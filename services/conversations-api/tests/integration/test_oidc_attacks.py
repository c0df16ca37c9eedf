"""Signing in with an OpenID provider, and who must not get in that way."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
import redis
from conversations_api.settings import Settings
from mh_devtools.stubs.oidc_stub import StubOidc, new_key
from mh_devtools.testing.fixtures import RunApp, RunQuery
from mh_devtools.testing.oidc import (
    API,
    BASE,
    BROWSER,
    CLERK,
    OidcPlatform,
    begin,
    refused,
    with_accounts,
    with_provider,
)

pytestmark = pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)

Forge = Callable[[StubOidc, dict[str, Any]], str]


@pytest.fixture
def stub() -> Iterator[StubOidc]:
    with StubOidc.running() as stub:
        yield stub


@pytest.fixture
async def platform(settings: Settings, stub: StubOidc, run_app: RunApp) -> AsyncIterator[OidcPlatform]:
    """A platform at which the subject CLERK is Ann."""
    redis.Redis.from_url(settings.redis.url).flushdb()
    secured = with_provider(with_accounts(settings), stub.issuer)
    async with run_app(secured) as api:
        platform = await begin(api, secured)
        await platform.link(await platform.add("ann"), CLERK)
        yield platform


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(stub: StubOidc, claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none', 'kid': stub.key.kid})}.{part(claims)}."


def signed_by_public_key(stub: StubOidc, claims: dict[str, Any]) -> str:
    """What a library takes for right that checks by the token's algorithm and the provider's only known key."""
    signed = f"{part({'alg': 'HS256', 'kid': stub.key.kid})}.{part(claims)}"
    digest = hmac.digest(stub.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def with_embedded_key(stub: StubOidc, claims: dict[str, Any]) -> str:
    other = new_key(str(stub.key.kid))
    return stub.signed(claims, other, jwk=other.as_dict(private=False))


def without(name: str) -> Forge:
    return lambda stub, claims: stub.signed({key: one for key, one in claims.items() if key != name})


def saying(**changed: Any) -> Forge:
    return lambda stub, claims: stub.signed({**claims, **changed})


def changed_afterwards(stub: StubOidc, claims: dict[str, Any]) -> str:
    header, _, signature = stub.signed({**claims, "sub": "mallory"}).split(".")
    return f"{header}.{part(claims)}.{signature}"


FORGED: dict[str, Forge] = {
    "alg none": unsigned,
    "alg none without a signature's dot": lambda stub, claims: unsigned(stub, claims)[:-1],
    "the public key as secret": signed_by_public_key,
    "another key of the same name": lambda stub, claims: stub.signed(claims, new_key("first")),
    "another key that the token brings along": with_embedded_key,
    "an unknown key": lambda stub, claims: stub.signed(claims, new_key("unknown")),
    "an algorithm that is not allowed": lambda stub, claims: stub.signed(claims, alg="RS512"),
    "changed afterwards": changed_afterwards,
    "another nonce": saying(nonce="another"),
    "no nonce": without("nonce"),
    "another audience": saying(aud="another"),
    "audiences without us": saying(aud=["another", "third"]),
    "us among others, for another": saying(aud=["mental-health", "another"], azp="another"),
    "us among others, for nobody": saying(aud=["mental-health", "another"]),
    "for another party": saying(azp="another"),
    "no audience": without("aud"),
    "another issuer": saying(iss="https://login.example.org"),
    "our issuer with a slash": lambda stub, claims: stub.signed({**claims, "iss": f"{stub.issuer}/"}),
    "no issuer": without("iss"),
    "expired": lambda stub, claims: stub.signed({**claims, "exp": int(time.time()) - 120}),
    "no end": without("exp"),
    "an end that is no number": saying(exp="2999"),
    "made in the future": lambda stub, claims: stub.signed({**claims, "iat": int(time.time()) + 3600}),
    "no time": without("iat"),
    "of another access token": saying(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no subject": without("sub"),
    "a subject that is a number": saying(sub=1),
    "no token": lambda stub, claims: "not.a.token",
}


async def test_a_forged_token_signs_nobody_in(platform: OidcPlatform, stub: StubOidc) -> None:
    for name, forge in FORGED.items():
        stub.forge = partial(forge, stub)
        assert refused(await platform.sign_in(stub, CLERK)), name
    # What was refused were the tokens alone.
    stub.forge = None
    assert (await platform.who(await platform.sign_in(stub, CLERK)))["username"] == "ann"


async def test_a_way_back_works_once_and_in_its_own_browser_only(platform: OidcPlatform, stub: StubOidc) -> None:
    mallory, victim = await platform.start(), await platform.start()
    answer = stub.visit(mallory.headers["Location"], CLERK)
    # The victim is given a link that would sign it in as somebody else.
    assert refused(await platform.come_back(victim, answer), "This browser did not begin")
    no_cookie = httpx.Response(303)
    answer = stub.visit(mallory.headers["Location"], CLERK)
    assert refused(await platform.come_back(no_cookie, answer), "This browser did not begin")
    started = await platform.start()
    answer = stub.visit(started.headers["Location"], CLERK)
    await platform.who(await platform.come_back(started, answer))
    assert refused(await platform.come_back(started, answer), "finished")
    # A code that was used, with a state that was not.
    started = await platform.start()
    state = stub.visit(started.headers["Location"], CLERK)["state"]
    assert refused(await platform.come_back(started, {"state": state, "code": answer["code"]}), "Start again")


async def test_a_code_of_another_sign_in_is_of_no_use(platform: OidcPlatform, stub: StubOidc) -> None:
    """Mallory's code in Ann's way back: PKCE, as the verifier is another's."""
    mallory, ann = await platform.start(), await platform.start()
    stolen = stub.visit(mallory.headers["Location"], CLERK)["code"]
    state = stub.visit(ann.headers["Location"], CLERK)["state"]
    assert refused(await platform.come_back(ann, {"state": state, "code": stolen}), "Start again")
    for redeemed in stub.redeemed:
        assert len(redeemed["code_verifier"]) >= 43


async def test_a_sign_in_ends_after_ten_minutes(platform: OidcPlatform, stub: StubOidc, query: RunQuery) -> None:
    started = await platform.start()
    answer = stub.visit(started.headers["Location"], CLERK)
    await query("UPDATE oidc_sign_ins SET created_at = '2026-01-01 00:00:00'")
    assert refused(await platform.come_back(started, answer), "too long ago")


async def test_only_the_own_provider_sends_people_back(platform: OidcPlatform, stub: StubOidc) -> None:
    """Mix-up: with the issuer that sent the browser back (RFC 9207)."""
    started = await platform.start()
    answer = stub.visit(started.headers["Location"], CLERK)
    other = {**answer, "iss": "https://login.example.org"}
    assert refused(await platform.come_back(started, other), "Another sign-in service")
    assert stub.redeemed == []
    started = await platform.start()
    answer = stub.visit(started.headers["Location"], CLERK)
    await platform.who(await platform.come_back(started, {**answer, "iss": stub.issuer}))


async def test_a_provider_that_always_says_who_it_is_must_do_so(
    settings: Settings, stub: StubOidc, run_app: RunApp
) -> None:
    stub.metadata = {"authorization_response_iss_parameter_supported": True}
    secured = with_provider(with_accounts(settings), stub.issuer)
    async with run_app(secured) as api:
        platform = await begin(api, secured)
        await platform.link(await platform.add("ann"), CLERK)
        assert refused(await platform.sign_in(stub, CLERK), "Another sign-in service")


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://login.example.org"},
        {"token_endpoint": "http://login.example.org/token"},
        {"jwks_uri": "http://login.example.org/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": None},
    ],
    ids=str,
)
async def test_what_a_provider_says_of_itself_must_be_its_own_and_private(
    settings: Settings, stub: StubOidc, run_app: RunApp, metadata: dict[str, Any]
) -> None:
    stub.metadata = metadata
    secured = with_provider(with_accounts(settings), stub.issuer)
    async with run_app(secured) as api:
        platform = await begin(api, secured)
        assert (await platform.start()).status_code == 503


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        " /",
        "/a b",
        "/\u00e9",
        f"/{'a' * 500}",
    ],
)
async def test_nobody_is_sent_to_another_site(platform: OidcPlatform, return_to: str) -> None:
    response = await platform.start(return_to=return_to)
    assert (response.status_code, "Location" in response.headers) == (400, False)


async def test_attempts_are_limited_by_address(platform: OidcPlatform, stub: StubOidc) -> None:
    # Some were made before. One that has no cookie costs nothing but its count.
    path = f"{BASE}{API}/oidc/callback?state=guess"
    statuses = [(await platform.api.get(path, headers=BROWSER)).status_code for _ in range(101)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    response = await platform.start()
    assert (response.status_code, "Too many attempts" in response.text) == (429, True)


async def test_what_the_way_back_says_is_shown_as_text(platform: OidcPlatform, stub: StubOidc) -> None:
    for error in ("<script>alert(1)</script>", "x" * 65):
        response = await platform.come_back(await platform.start(), {"state": "guess", "error": error})
        assert (response.status_code, "<script" in response.text) == (400, False)
    started = await platform.start()
    state = stub.visit(started.headers["Location"], CLERK)["state"]
    response = await platform.come_back(started, {"state": state, "error": "access_denied", "code": "x"})
    assert refused(response, "access_denied")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert stub.redeemed == []
