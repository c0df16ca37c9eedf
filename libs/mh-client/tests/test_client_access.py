"""What a client sends to say who calls, and what it never shows; every test of calls runs with both clients."""

import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from mh_client import (
    APIConnectionError,
    AsyncClient,
    AuthenticationError,
    Call,
    Client,
    InvalidInputError,
    PermissionDeniedError,
    Problem,
    Role,
    Scope,
)
from mh_devtools.stubs.access_stub import StubAccess
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.stubs.server import serving
from mh_devtools.testing.fixtures import CallMethod
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

PASSWORD = "choose a long phrase"


@pytest.fixture
def key(guarded: StubAccess) -> str:
    """The key of an administrator."""
    return guarded.add_key(guarded.add_user("ann", Role.ADMIN, PASSWORD), list(Scope))


@pytest.fixture
def redirecting(guarded: StubAccess) -> Iterator[str]:
    """A server at another address that sends every request on to the stub."""

    async def elsewhere(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{guarded.base_url}{request.url.path}")

    with serving(Starlette(routes=[Route("/{path:path}", elsewhere)])) as url:
        yield url


def test_the_key_is_sent_with_every_call(calling: Callable[..., CallMethod], guarded: StubAccess, key: str) -> None:
    call = calling(guarded.base_url, api_key=key)
    assert call("me").username == "ann"
    assert call("conversations.stats").total == 0
    assert b"".join(call("conversations.export")) == b"id,question\r\n1,q\r\n"
    assert [type(event).__name__ for event in call("answer_stream", "q")][-1] == "AnswerDone"
    assert len(call("users.iterate")) == 1
    assert guarded.authorizations == [f"Bearer {key}"] * 5


def test_the_key_comes_from_the_environment_by_default(
    calling: Callable[..., CallMethod], guarded: StubAccess, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MH_API_KEY", key)
    assert calling(guarded.base_url)("me").username == "ann"
    other = guarded.add_key(guarded.add_user("bob", Role.COUNSELOR), [Scope.SEARCH])
    assert calling(guarded.base_url, api_key=other)("me").username == "bob"
    with pytest.raises(AuthenticationError):
        calling(guarded.base_url, api_key="")("me")
    monkeypatch.setenv("MH_API_KEY", "")
    with pytest.raises(AuthenticationError):
        calling(guarded.base_url)("me")
    assert guarded.authorizations == [f"Bearer {key}", f"Bearer {other}", None, None]


def test_the_library_reads_no_files(
    calling: Callable[..., CallMethod], guarded: StubAccess, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    monkeypatch.setenv("MH_API_KEY_FILE", str(file))
    with pytest.raises(AuthenticationError):
        calling(guarded.base_url)("me")


def test_signing_in_sends_no_key(calling: Callable[..., CallMethod], guarded: StubAccess, key: str) -> None:
    call = calling(guarded.base_url, api_key=key)
    token = call("sessions.create", "ann", PASSWORD).token
    assert guarded.authorizations == [None]
    assert calling(guarded.base_url, api_key=token)("me").credential.kind == "session"


@pytest.mark.parametrize("bad", ["two words", " k-1", "k-2\n", "k-3\r\nX-Evil: 1", "schlüssel", "tab\tkey", "\x7f"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(InvalidInputError, match=r"^api_key: must be one word of visible ASCII") as caught:
            client("http://platform.test", api_key=bad)
        assert bad not in "".join(traceback.format_exception(caught.value))
        monkeypatch.setenv("MH_API_KEY", bad)
        with pytest.raises(InvalidInputError, match=r"^MH_API_KEY: must be one word"):
            client("http://platform.test")
        monkeypatch.delenv("MH_API_KEY")


def test_a_key_is_in_no_representation_error_or_log(
    guarded: StubAccess, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    guarded.issued[key].has_ended = True
    shown: list[object] = [key[:7]]
    with Client(guarded.base_url, api_key=key) as client:
        shown += [client, vars(client), client.users, vars(client._sender)]
        with pytest.raises(AuthenticationError) as refused:
            client.me()
    with Client("http://127.0.0.1:1", api_key=key, max_retries=0) as client, pytest.raises(APIConnectionError) as lost:
        client.me()
    for error in (refused.value, lost.value):
        shown += [error, error.args, *traceback.format_exception(error)]
    assert any("127.0.0.1" in record.getMessage() for record in caplog.records)
    shown += [record.getMessage() for record in caplog.records] + [record.args for record in caplog.records]
    assert key not in "".join(f"{one}{one!r}" for one in shown)


def test_a_password_is_not_in_the_representation_of_its_call() -> None:
    call = Call(method="POST", path="/x", parse=lambda body: None, content=b'{"password":"secret"}')
    assert "secret" not in repr(call)
    short = "secret"
    with pytest.raises(InvalidInputError) as caught:
        Client("http://platform.test").users.create("ann", "curator", password=short)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_ones_own_http_client_keeps_working(guarded: StubAccess, key: str) -> None:
    own = {"Authorization": f"Bearer {key}", "X-Proxy": "1"}
    with httpx.Client(headers=own) as http:
        assert Client(guarded.base_url, http_client=http).me().username == "ann"
        other = guarded.add_key(guarded.add_user("bob", Role.COUNSELOR), [Scope.SEARCH])
        assert Client(guarded.base_url, http_client=http, api_key=other).me().username == "bob"
        assert http.headers["Authorization"] == own["Authorization"]
    with httpx.Client() as http:
        assert Client(guarded.base_url, http_client=http, api_key=key).me().username == "ann"
        assert "Authorization" not in http.headers


def test_a_redirect_is_an_error_and_the_key_stays_where_it_belongs(
    calling: Callable[..., CallMethod], guarded: StubAccess, key: str, redirecting: str
) -> None:
    with pytest.raises(Exception, match=r"^307 Temporary Redirect"):
        calling(redirecting, api_key=key, max_retries=0)("me")
    assert guarded.authorizations == []
    # Even where the program's own HTTP client follows redirects.
    with httpx.Client(follow_redirects=True) as http, pytest.raises(AuthenticationError):
        Client(redirecting, api_key=key, http_client=http).me()
    assert guarded.authorizations == [None]


def test_a_header_of_a_call_goes_before_the_key(guarded: StubAccess, key: str) -> None:
    bob = guarded.add_key(guarded.add_user("bob", Role.COUNSELOR), [Scope.SEARCH])
    call = Call(method="GET", path="/api/v1/me", parse=bytes.decode, headers={"Authorization": f"Bearer {bob}"})
    with Client(guarded.base_url, api_key=key) as client:
        assert '"bob"' in client.send(call)


def test_a_url_with_a_user_name_leaves_no_room_for_a_key(stub: StubPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    url = stub.base_url.replace("//", "//somebody:secret@")
    with Client(url) as client:
        assert client.conversations.stats().total == 0
    monkeypatch.setenv("MH_API_KEY", "mh_key_1")
    with pytest.raises(InvalidInputError, match=r"^base_url: must have no user name if there is an API key") as caught:
        Client(url)
    assert "secret" not in str(caught.value)


def test_an_unknown_caller_is_told_what_to_do(
    calling: Callable[..., CallMethod], guarded: StubAccess, key: str
) -> None:
    with pytest.raises(AuthenticationError) as unknown:
        calling(guarded.base_url)("conversations.stats")
    assert (unknown.value.status_code, unknown.value.was_sent) == (401, False)
    assert "set MH_API_KEY, or api_key= in Python; the command mh has `mh login`" in str(unknown.value)
    guarded.issued[key].has_ended = True
    with pytest.raises(AuthenticationError) as revoked:
        calling(guarded.base_url, api_key=key)("me")
    assert revoked.value.was_sent is True
    assert str(revoked.value) == "401 Unauthorized: This API key was revoked."
    with pytest.raises(AuthenticationError) as wrong:
        calling(guarded.base_url, api_key=key)("sessions.create", "ann", "a wrong password")
    assert wrong.value.was_sent is None
    assert str(wrong.value) == "401 Unauthorized: The username or the password is wrong."


def test_a_missing_scope_is_named(calling: Callable[..., CallMethod], guarded: StubAccess) -> None:
    bob = guarded.add_user("bob", Role.COUNSELOR, PASSWORD)
    with pytest.raises(PermissionDeniedError) as caught:
        calling(guarded.base_url, api_key=guarded.add_session(bob))("users.list")
    assert caught.value.missing_scopes == ("users:manage",)
    assert str(caught.value) == (
        "403 Forbidden: This needs the scope users:manage. "
        "Your role, counselor, does not have it; ask an administrator."
    )


def test_the_errors_without_the_platforms_words_still_help() -> None:
    missing = Problem(title="x", status=403, missing_scopes=["search", "answers"])
    assert str(PermissionDeniedError(403, missing)) == (
        "403 Forbidden. Missing: search, answers. Use a key that has it, or ask an administrator"
    )
    assert str(PermissionDeniedError(403)) == "403 Forbidden"
    odd = Problem(title="x", status=403, missing_scopes="search")
    assert PermissionDeniedError(403, odd).missing_scopes == ()
    assert str(AuthenticationError(401, None, "r-1", None, True)) == (
        "401 Unauthorized. The API key or session that was sent is not valid here (request id r-1)"
    )


def test_the_errors_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(AuthenticationError(401, None, "r-1", 2.0, True)))  # noqa: S301 - our own
    assert (error.status_code, error.request_id, error.retry_after, error.was_sent) == (401, "r-1", 2.0, True)
