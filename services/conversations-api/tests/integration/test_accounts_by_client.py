"""Accounts, as people and programs meet them: the real routes, by `mh` and by the published client."""

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import redis
from conversations_api.main import create_app
from conversations_api.preflight import prepare_accounts
from conversations_api.settings import FirstAdministratorSettings, Settings
from mh_client import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Client,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    Role,
    Scope,
)
from mh_client.cli import main
from mh_devtools.stubs.server import serving
from mh_devtools.testing.fixtures import RunCommand

PASSWORD: Final = "choose a long phrase"
OTHER: Final = "choose a longer phrase"
READS: Final = [Scope.CONVERSATIONS_READ, Scope.SEARCH]


class Platform(NamedTuple):
    """A running API that has no account yet."""

    url: str
    setup_token: str


@pytest.fixture
def platform(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    for name in ("MH_API_KEY", "MH_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "token"
    auth = FirstAdministratorSettings(mode="required", setup_token_file=file)
    secured = settings.model_copy(update={"auth": auth})
    # Attempts to sign in of earlier tests.
    redis.Redis.from_url(secured.redis.url).flushdb()
    asyncio.run(prepare_accounts(secured))
    with serving(create_app(secured), lifespan=True) as url:
        monkeypatch.setenv("MH_URL", url)
        yield Platform(url, file.read_text().strip())


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets what standard input has."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.fixture
def mh(platform: Platform, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Run the command in this process; return exit code, standard output and standard error.

    The server's log, which goes to the same standard output, is left out.
    """
    capsys.readouterr()

    def run(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([str(arg) for arg in args])
        assert isinstance(exited.value.code, int)
        output, errors = capsys.readouterr()
        told = [line for line in output.splitlines(keepends=True) if "event=request_completed" not in line]
        return exited.value.code, "".join(told), errors

    return run


def test_a_practice_is_set_up_by_commands(
    platform: Platform, mh: RunCommand, given: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Sign in with `mh login`" in mh("stats")[2]
    given(PASSWORD)
    assert mh("setup", "--token", platform.setup_token, "--username", "ann", "--password-stdin")[0] == 0
    given(PASSWORD)
    assert mh("setup", "--token", platform.setup_token, "--username", "eve", "--password-stdin")[0] == 1
    given(PASSWORD)
    signed_in = mh("login", "--username", "ann", "--password-stdin")
    assert signed_in == (0, f"Signed in: ann, admin, at {platform.url}.\n", "")
    given(PASSWORD)
    assert mh("users", "add", "bob", "--role", "counselor", "--password-stdin")[0] == 0
    # Ids go on from those of other tests.
    intranet = json.loads(mh("users", "add", "intranet", "--role", "counselor", "--service", "--json")[1])["id"]
    scopes = ("--scope", "search", "--scope", "conversations:read")
    code, key, _ = mh("keys", "create", "its searches", *scopes, "--user-id", intranet)
    assert code == 0
    assert mh("stats")[0] == 0
    assert mh("history", "list") == (0, "The history is empty.\n", "")
    monkeypatch.setenv("MH_API_KEY", key.strip())
    assert mh("whoami")[1].splitlines()[-1] == "May: conversations:read, search"
    assert mh("stats")[0] == 0
    assert "This needs the scope users:manage" in mh("users", "list")[2]
    monkeypatch.delenv("MH_API_KEY")
    assert mh("users", "disable", intranet)[0] == 0
    monkeypatch.setenv("MH_API_KEY", key.strip())
    assert "This account is disabled" in mh("stats")[2]
    monkeypatch.delenv("MH_API_KEY")
    code, _, errors = mh("users", "disable", json.loads(mh("whoami", "--json")[1])["id"])
    assert (code, "the only administrator left" in errors) == (1, True)
    assert mh("logout") == (0, f"Signed out: ann, at {platform.url}.\n", "")
    assert mh("whoami")[0] == 1


def test_the_client_understands_every_answer(platform: Platform) -> None:
    with Client(platform.url) as stranger:
        ann = stranger.set_up(platform.setup_token, "ann", PASSWORD, "Ann Example")
        first = stranger.sessions.create("ann", PASSWORD)
        second = stranger.sessions.create("ann", PASSWORD)
        with pytest.raises(AuthenticationError):
            stranger.me()
    with Client(platform.url, api_key=first.token) as client, Client(platform.url, api_key=second.token) as elsewhere:
        assert (client.me().id, client.me().display_name, client.me().role) == (ann.id, "Ann Example", Role.ADMIN)
        assert {one.role for one in client.roles()} == set(Role)
        assert [one.current for one in client.sessions.list().items] == [False, True]
        with pytest.raises(BadRequestError, match="The current password is wrong"):
            client.change_password("a wrong password", OTHER)
        client.change_password(PASSWORD, OTHER)
        with pytest.raises(AuthenticationError, match="This session has ended"):
            elsewhere.me()
        third = client.sessions.create("ann", OTHER)
        client.sessions.end(third.session.id)
        with pytest.raises(NotFoundError):
            client.sessions.end(third.session.id)
        bob = client.users.create("bob", "counselor", email="bob@example.org")
        with pytest.raises(ConflictError):
            client.users.create("bob", "counselor")
        changed = client.users.update(bob.id, email=None, display_name="Bob", role="curator")
        assert (changed.email, changed.display_name, changed.role) == (None, "Bob", Role.CURATOR)
        assert client.users.get(bob.id) == changed
        assert [one.username for one in client.users.iterate()] == ["ann", "bob"]
        client.sessions.end_current()
        with pytest.raises(AuthenticationError):
            client.me()


async def test_keys_of_the_asynchronous_client(platform: Platform) -> None:
    async with AsyncClient(platform.url) as stranger:
        await stranger.set_up(platform.setup_token, "ann", PASSWORD)
        token = (await stranger.sessions.create("ann", PASSWORD)).token
    async with AsyncClient(platform.url, api_key=token) as client:
        made = [await client.api_keys.create(f"key {number}", READS) for number in range(3)]
        listed = [one.name async for one in client.api_keys.iterate()]
        assert listed == ["key 2", "key 1", "key 0"]
        rotated = await client.api_keys.rotate(made[0].api_key.id)
        await client.api_keys.revoke(made[1].api_key.id)
    for ended in (made[0], made[1]):
        async with AsyncClient(platform.url, api_key=ended.token) as refused:
            with pytest.raises(AuthenticationError, match="revoked"):
                await refused.me()
    async with AsyncClient(platform.url, api_key=rotated.token) as program:
        assert set((await program.me()).scopes) == set(READS)
        assert (await program.conversations.list()).items == []
        with pytest.raises(PermissionDeniedError) as caught:
            await program.users.list()
        assert caught.value.missing_scopes == ("users:manage",)


def test_identities_and_teams_by_mh_and_the_client(
    platform: Platform, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(platform.url, api_key="") as stranger:
        stranger.set_up(platform.setup_token, "ann", PASSWORD)
        token = stranger.sessions.create("ann", PASSWORD).token
    assert token is not None
    monkeypatch.setenv("MH_URL", platform.url)
    monkeypatch.setenv("MH_API_KEY", token)
    issuer = "https://login.example.org"
    with Client(platform.url, api_key=token) as client:
        ann, bob = client.me().id, client.users.create("bob", "counselor").id
        assert ann is not None
        with pytest.raises(BadRequestError, match="no provider of its own"):
            client.identities.create(bob, "user_2abc")
        code, output, _ = mh("users", "identities", "add", bob, "user_2abc", "--issuer", issuer)
        [identity] = client.identities.iterate(bob)
        assert (code, output) == (0, f"identity {identity.id} of account {bob}: user_2abc at {issuer}\n")
        with pytest.raises(ConflictError):
            client.identities.create(ann, "user_2abc", issuer)
        assert "user_2abc" in mh("users", "identities", "list", bob)[1]
        assert mh("users", "identities", "delete", bob, identity.id)[0] == 0
        assert mh("users", "identities", "list", bob)[1] == "Nobody.\n"

        code, output, _ = mh("teams", "add", "Crisis line")
        [team] = [one.id for one in client.teams.iterate()]
        assert (code, output) == (0, f"team {team}: Crisis line\n")
        assert mh("teams", "rename", team, "Day clinic")[1] == f"team {team}: Day clinic\n"
        assert mh("teams", "put", team, bob, "--lead")[1] == f"bob is a lead of team {team}\n"
        assert mh("teams", "put", team, ann)[1] == f"ann is in team {team}\n"
        assert mh("teams", "members", team)[1].split() == [str(ann), "ann", str(bob), "bob", "lead"]
        assert mh("teams", "list")[1].split() == [str(team), "Day", "clinic"]
        assert mh("teams", "mine")[1].split() == [str(team), "Day", "clinic"]
        assert [(one.username, one.lead) for one in client.teams.iterate_members(team)] == [
            ("ann", False),
            ("bob", True),
        ]
        assert client.teams.get(team) == next(client.teams.iterate())
        assert mh("teams", "remove", team, bob)[0] == 0
        assert mh("teams", "delete", team)[0] == 0
        assert mh("teams", "list")[1] == "None.\n"


async def test_identities_and_teams_of_the_asynchronous_client(platform: Platform) -> None:
    async with AsyncClient(platform.url) as stranger:
        await stranger.set_up(platform.setup_token, "ann", PASSWORD)
        token = (await stranger.sessions.create("ann", PASSWORD)).token
    async with AsyncClient(platform.url, api_key=token) as client:
        ann = (await client.me()).id
        assert ann is not None
        identity = await client.identities.create(ann, "user_2abc", "https://login.example.org")
        assert [one async for one in client.identities.iterate(ann)] == [identity]
        await client.identities.delete(ann, identity.id)
        # It ended the sessions of the account.
        with pytest.raises(AuthenticationError):
            await client.me()
    async with AsyncClient(platform.url) as stranger:
        token = (await stranger.sessions.create("ann", PASSWORD)).token
    async with AsyncClient(platform.url, api_key=token) as client:
        team = await client.teams.create("Crisis line")
        assert [one async for one in client.teams.iterate()] == [team]
        member = await client.teams.put_member(team.id, ann, lead=True)
        assert [one async for one in client.teams.iterate_members(team.id)] == [member]
        assert [(one.name, one.lead) for one in (await client.me()).teams] == [("Crisis line", True)]
