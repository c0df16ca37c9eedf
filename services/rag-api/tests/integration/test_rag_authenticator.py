"""How long rag-api knows a caller, against a real server, with a clock that the tests move."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import httpx
import pytest
from mh_client import AsyncClient, ResponseDecodeError
from mh_common.auth.principals import Principal
from mh_common.auth.roles import Role, Scope
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.errors import AuthenticationError, UnavailableError
from mh_common.models import CredentialKind, Me, PrincipalKind
from mh_devtools.stubs.conversations_stub import RETRY_AFTER, StubConversations
from mh_devtools.testing.fixtures import MakeCaller
from rag_api import access
from rag_api.access import KEPT_S, REFUSAL_KEPT_S, RemoteAuthenticator
from rag_api.api_calls import who_sent

ME = "/api/v1/me"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def authenticator(conversations_stub: StubConversations, clock: Clock) -> AsyncIterator[RemoteAuthenticator]:
    async with connected(conversations_stub.base_url, clock) as made:
        yield made


@asynccontextmanager
async def connected(url: str, clock: Clock) -> AsyncIterator[RemoteAuthenticator]:
    async with AsyncClient(url, timeout=20, max_retries=0) as client:
        yield RemoteAuthenticator(client, clock)


async def test_the_caller_is_who_the_api_says(authenticator: RemoteAuthenticator, make_caller: MakeCaller) -> None:
    token = make_caller(Scope.SEARCH, Scope.ANSWERS, username="ben", user_id=12)
    assert await authenticator.authenticate(token) == Principal(
        username="ben",
        kind=PrincipalKind.PERSON,
        scopes=frozenset({Scope.SEARCH, Scope.ANSWERS}),
        role=Role.COUNSELOR,
        user_id=12,
        credential=CredentialKind.API_KEY,
        credential_id=1,
    )


async def test_a_caller_is_known_for_a_while_and_then_asked_for_again(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller, conversations_stub: StubConversations, clock: Clock
) -> None:
    token = make_caller(Scope.SEARCH)
    await authenticator.authenticate(token)
    clock.now += KEPT_S - 0.1
    await authenticator.authenticate(token)
    assert conversations_stub.asked_for(ME) == [token]
    make_caller(Scope.ANSWERS, token=token)
    clock.now += 0.1
    assert (await authenticator.authenticate(token)).scopes == {Scope.ANSWERS}
    assert conversations_stub.asked_for(ME) == [token, token]


async def test_requests_at_the_same_time_ask_once(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller, conversations_stub: StubConversations
) -> None:
    one, other = make_caller(username="ann"), make_caller(username="ben")
    found = await asyncio.gather(*(authenticator.authenticate(token) for token in [one, other] * 10))
    assert [principal.username for principal in found] == ["ann", "ben"] * 10
    assert sorted(conversations_stub.asked_for(ME), key=str) == sorted([one, other])


async def test_a_request_that_is_given_up_takes_no_other_along(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller, conversations_stub: StubConversations
) -> None:
    token = make_caller(username="ann")
    first, second = (asyncio.create_task(authenticator.authenticate(token)) for _ in range(2))
    await asyncio.sleep(0)  # both have begun
    first.cancel()
    assert (await second).username == "ann"
    assert first.cancelled()
    assert conversations_stub.asked_for(ME) == [token]


async def test_a_refusal_is_known_briefly(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller, conversations_stub: StubConversations, clock: Clock
) -> None:
    token = make_token(TokenKind.API_KEY)
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            await authenticator.authenticate(token)
    assert conversations_stub.asked_for(ME) == [token]
    make_caller(username="ben", token=token)
    clock.now += REFUSAL_KEPT_S
    assert (await authenticator.authenticate(token)).username == "ben"


async def test_a_new_key_works_at_once(authenticator: RemoteAuthenticator, make_caller: MakeCaller) -> None:
    with pytest.raises(AuthenticationError):
        await authenticator.authenticate(make_token(TokenKind.API_KEY))
    assert (await authenticator.authenticate(make_caller(username="ben"))).username == "ben"


@pytest.mark.parametrize("token", ["", "sk-of-another-platform", "mh_key_tooShort", "mh_key_" + "é" * 43])
async def test_what_is_no_key_is_refused_without_asking(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller, conversations_stub: StubConversations, token: str
) -> None:
    with pytest.raises(AuthenticationError, match="no key of this platform"):
        await authenticator.authenticate(token)
    assert conversations_stub.received == []


async def test_only_known_callers_get_in_while_the_api_is_down(clock: Clock) -> None:
    known, unknown = make_token(TokenKind.SESSION), make_token(TokenKind.SESSION)
    ann, ben = (
        Me(id=1, username=name, kind=PrincipalKind.PERSON, role=None, scopes=[], credential=None)
        for name in ("ann", "ben")
    )
    with ExitStack() as stack:
        stub = stack.enter_context(StubConversations.running())
        stub.callers = {known: ann, unknown: ben}
        async with connected(stub.base_url, clock) as authenticator:
            await authenticator.authenticate(known)
            stack.close()
            assert (await authenticator.authenticate(known)).username == "ann"
            with pytest.raises(UnavailableError):
                await authenticator.authenticate(unknown)
            clock.now += KEPT_S
            with pytest.raises(UnavailableError, match="cannot be checked now") as raised:
                await authenticator.authenticate(known)
    assert raised.value.retry_after > 0


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
async def test_any_other_answer_lets_nobody_in(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller, statuses: list[int], status: int
) -> None:
    token = make_caller(username="ann")
    statuses.append(status)
    with pytest.raises(UnavailableError) as raised:
        await authenticator.authenticate(token)
    assert raised.value.retry_after == RETRY_AFTER
    assert (await authenticator.authenticate(token)).username == "ann"


async def test_an_api_without_accounts_lets_nobody_in(
    authenticator: RemoteAuthenticator, conversations_stub: StubConversations
) -> None:
    assert conversations_stub.callers is None
    with pytest.raises(UnavailableError, match="AUTH_MODE=open"):
        await authenticator.authenticate(make_token(TokenKind.API_KEY))


async def test_the_number_of_known_callers_is_limited(
    authenticator: RemoteAuthenticator,
    make_caller: MakeCaller,
    conversations_stub: StubConversations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "MAX_KEPT", 2)
    first, second, third = (make_caller(username=name) for name in ("ann", "ben", "cem"))
    for token in (first, second, third, second, third, first):
        await authenticator.authenticate(token)
    assert conversations_stub.asked_for(ME) == [first, second, third, first]
    # A flood of wrong keys makes nobody unknown.
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            await authenticator.authenticate(make_token(TokenKind.API_KEY))
    conversations_stub.received.clear()
    await authenticator.authenticate(third)
    assert conversations_stub.received == []


async def test_a_token_that_the_api_has_just_refused_is_asked_for_again(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller, conversations_stub: StubConversations
) -> None:
    token = make_caller(Scope.SEARCH)
    await authenticator.authenticate(token)
    request = httpx.Request("GET", "http://api/x", headers={"Authorization": f"Bearer {token}"})
    await authenticator.forget_refused(httpx.Response(403, request=request))
    await authenticator.authenticate(token)
    assert conversations_stub.asked_for(ME) == [token]
    await authenticator.forget_refused(httpx.Response(401, request=request))
    await authenticator.authenticate(token)
    assert conversations_stub.asked_for(ME) == [token, token]


async def test_scopes_of_a_later_release_are_left_out(
    authenticator: RemoteAuthenticator, make_caller: MakeCaller
) -> None:
    token = make_caller(Scope.SEARCH, "archive:read")
    assert (await authenticator.authenticate(token)).scopes == {Scope.SEARCH}


def test_the_caller_may_have_a_role_of_a_later_release() -> None:
    sent = {"id": 1, "username": "ann", "kind": "person", "role": "archivist", "credential": None}
    later = httpx.Response(200, json={**sent, "scopes": ["search"], "teams": []}).content
    assert who_sent("token").parse(later).role is None
    with pytest.raises(ResponseDecodeError):
        who_sent("token").read(httpx.Response(200, json={**sent, "scopes": None}))
