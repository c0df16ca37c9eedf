"""The keys of stacks with AUTH_MODE=required: made once, kept for their owner, made again once they are useless."""

import os
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from mh_common.auth.roles import Role
from mh_common.auth.tokens import TokenKind, kind_of
from mh_devtools import access, servers
from mh_devtools.embedded import local_stack
from mh_devtools.stack.server_stack import migrate
from mh_devtools.stubs.echo_server import EchoServer, send_json

KEY, TOKEN = "mh_key_kept", "mh_set_kept"
PERSON, PROGRAM = {"kind": "person"}, {"kind": "service"}


class Accounts(EchoServer):
    """The routes of accounts that are asked: who the caller is, and who has an account."""

    users: list[dict[str, str]]
    status = 200

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        known = handler.headers["Authorization"] == f"Bearer {KEY}"
        body = {"items": self.users} if handler.path.startswith("/api/v1/users") else {"username": "make-run"}
        send_json(handler, self.status if known else 401, body)


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    with Accounts.running("accounts") as server:
        assert isinstance(server, Accounts)
        server.users = []
        server.answer = server.respond
        yield server


def url_of(server: EchoServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_a_service_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "var" / "service-key"
    key = access.service_key(file)
    assert kind_of(key) is TokenKind.SERVICE_KEY
    assert access.service_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_api_key_is_used_as_long_as_it_is_accepted(accounts: Accounts, tmp_path: Path) -> None:
    file = tmp_path / "api-key"
    assert access.api_key(file, url_of(accounts), lambda: KEY) == KEY
    assert access.api_key(file, url_of(accounts), lambda: "mh_key_other") == KEY
    # Of a database that was deleted.
    access.keep_secret(file, "mh_key_gone")
    assert access.api_key(file, url_of(accounts), lambda: KEY) == KEY
    assert access.kept_secret(file) == KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_is_not_replaced_because_the_platform_fails(accounts: Accounts, tmp_path: Path) -> None:
    file = tmp_path / "api-key"
    access.keep_secret(file, KEY)
    accounts.status = 503
    with pytest.raises(servers.ServerError, match="/api/v1/me returned 503"):
        access.api_key(file, url_of(accounts), lambda: "mh_key_other")
    with pytest.raises(servers.ServerError, match="/api/v1/me cannot be fetched"):
        access.api_key(file, f"http://127.0.0.1:{servers.free_port()}", lambda: "mh_key_other")
    assert access.kept_secret(file) == KEY


def test_the_setup_token_is_told_until_a_person_has_an_account(accounts: Accounts, tmp_path: Path) -> None:
    file, url = tmp_path / "setup-token", url_of(accounts)
    assert access.setup_token(file, url, KEY) is None
    access.keep_secret(file, TOKEN)
    accounts.users = [PROGRAM]
    assert access.setup_token(file, url, KEY) == TOKEN
    # An administrator took the role of an administrator from it.
    accounts.status = 403
    assert access.setup_token(file, url, KEY) is None
    assert file.exists()
    accounts.status, accounts.users = 200, [PROGRAM, PERSON]
    assert access.setup_token(file, url, KEY) is None
    assert not file.exists()


@pytest.mark.slow
def test_a_key_for_a_program_is_made_in_the_database_or_the_reason_is_told(tmp_path: Path) -> None:
    env = os.environ | {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'accounts.db'}"}
    migrate(env, tmp_path)
    keys = {access.add_key("bench", Role.ADMIN, env, tmp_path) for _ in range(2)}
    assert {kind_of(key) for key in keys} == {TokenKind.API_KEY}
    assert len(keys) == 2
    with pytest.raises(servers.ServerError, match="A key for bench could not be made: bench is not a service account"):
        access.add_key("bench", Role.COUNSELOR, env, tmp_path)


@pytest.mark.parametrize(("given", "mode"), [(None, "open"), ("", "open"), ("required", "required")])
def test_the_embedded_stack_is_open_unless_access_is_required(
    monkeypatch: pytest.MonkeyPatch, given: str | None, mode: str
) -> None:
    monkeypatch.delenv("AUTH_MODE", raising=False)
    if given is not None:
        monkeypatch.setenv("AUTH_MODE", given)
    assert local_stack.auth_mode_from_environment() == mode


def test_a_nonsensical_mode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_MODE", "optional")
    with pytest.raises(servers.ServerError, match="AUTH_MODE must be open or required, not 'optional'"):
        local_stack.auth_mode_from_environment()
