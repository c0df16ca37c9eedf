"""`mh login`, `logout`, `whoami`, `password`, `setup` and `roles`, and what each command says when it is refused."""

import io
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from mh_client import Role, Scope, User
from mh_devtools.stubs.access_stub import StubAccess
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import RunCommand

PASSWORD = "choose a long phrase"
NOBODY = "http://127.0.0.1:9"
TypeInto = Callable[..., tuple[int, str]]


@pytest.fixture
def ann(guarded: StubAccess) -> User:
    """A curator with a password."""
    return guarded.add_user("ann", Role.CURATOR, PASSWORD, display_name="Ann Example")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Where `mh login` stores what it got."""
    return tmp_path / "config" / "mental-health" / "credentials.json"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], None]:
    """Return a function that sets what standard input has."""

    def give(text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def sign_in(mh: RunCommand, given: Callable[[str], None], *options: str, name: str = "ann") -> tuple[int, str, str]:
    given(f"{PASSWORD}\n")
    return mh(*options, "login", "--username", name, "--password-stdin")


@pytest.fixture
def typed() -> TypeInto:
    """Return a function that runs `mh` on a terminal and types each answer when it is asked for."""

    def run(args: Sequence[str], answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "mh_client.cli", *args]
        # Without a terminal of its own, the process asks on the one that it gets as its standard streams.
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        shown = ""
        left = list(answers)
        # Reading fails when the process has closed the terminal.
        while piece := _read(ours):
            shown += piece
            if left and shown.endswith(left[0][0]):
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
        os.close(ours)
        assert left == []
        return process.wait(30), shown.replace("\r\n", "\n")

    return run


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode()
    except OSError:
        return ""


def test_signing_in_with_a_password_from_standard_input(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None], stored: Path
) -> None:
    code, output, errors = sign_in(mh, given)
    assert (code, errors) == (0, "")
    assert output == f"Signed in: ann (Ann Example), curator, at {guarded.base_url}.\n"
    [token] = guarded.issued
    assert token not in output
    assert json.loads(stored.read_text()) == {
        "platforms": {guarded.base_url: {"token": token, "kind": "session", "username": "ann"}}
    }
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.parent.stat().st_mode) == 0o700
    assert mh("stats")[0] == 0
    assert guarded.authorizations[-1] == f"Bearer {token}"


def test_signing_in_on_a_terminal_does_not_show_the_password(
    guarded: StubAccess, ann: User, typed: TypeInto, stored: Path
) -> None:
    code, shown = typed(["login"], [("Username: ", "ann"), ("Password: ", PASSWORD)])
    assert code == 0
    assert f"Signed in: ann (Ann Example), curator, at {guarded.base_url}." in shown
    assert PASSWORD not in shown
    assert stored.exists()
    code, shown = typed(["login", "--username", "ann"], [("Password: ", "a wrong password")])
    assert code == 1
    assert shown.splitlines()[-1] == "mh: The username or the password is wrong."
    key = guarded.add_key(ann, [Scope.SEARCH, Scope.CONVERSATIONS_READ])
    code, shown = typed(["login", "--key"], [("API key: ", key)])
    assert code == 0
    assert key not in shown


def test_signing_in_again_ends_the_session_before(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None]
) -> None:
    sign_in(mh, given)
    sign_in(mh, given)
    assert [one.has_ended for one in guarded.issued.values()] == [True, False]
    assert mh("whoami")[0] == 0


def test_an_api_key_is_checked_and_stored(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str | bytes], None], stored: Path
) -> None:
    key = guarded.add_key(ann, [Scope.SEARCH, Scope.CONVERSATIONS_READ])
    given(f"{key}\n")
    code, output, _ = mh("login", "--key")
    assert (code, output) == (0, f"Signed in: ann (Ann Example), curator, at {guarded.base_url}.\n")
    _, output, _ = mh("whoami")
    assert output.splitlines() == [
        f"ann (Ann Example), curator, at {guarded.base_url}",
        "By API key 1",
        "May: conversations:read, search",
    ]
    code, output, _ = mh("logout")
    assert (code, output) == (
        0,
        f"The API key of ann for {guarded.base_url} is no longer stored here. It still works.\n",
    )
    assert not guarded.issued[key].has_ended
    for bad, message in (
        ("mh_key_unknown", "mh: This credential is not known here. Was it copied completely?\n"),
        ("two words", "mh: API key: must be one word of visible ASCII characters"),
        ("", "mh: API key: must be 1 line on standard input"),
        (b"\xff", "mh: API key: must be UTF-8 text on standard input"),
    ):
        given(bad)
        code, output, errors = mh("login", "--key")
        assert (code in (1, 2), output) == (True, "")
        assert errors.startswith(message)
        assert "two words" not in errors
    assert json.loads(stored.read_text()) == {"platforms": {}}


def test_each_platform_has_its_own_credential(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None]
) -> None:
    with StubAccess.running() as other:
        other.add_user("bob", Role.OPERATOR, PASSWORD)
        sign_in(mh, given)
        sign_in(mh, given, "--url", other.base_url, name="bob")
        assert "ann" in mh("whoami")[1]
        assert "bob" in mh("--url", f"{other.base_url}/", "whoami")[1]
        mh("logout")
        assert mh("whoami")[0] == 1
        assert "bob" in mh("--url", other.base_url, "whoami")[1]


def test_signing_out_ends_the_session_and_forgets_it(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None], stored: Path
) -> None:
    sign_in(mh, given)
    assert mh("logout") == (0, f"Signed out: ann, at {guarded.base_url}.\n", "")
    assert [one.has_ended for one in guarded.issued.values()] == [True]
    assert json.loads(stored.read_text()) == {"platforms": {}}
    assert mh("logout") == (0, f"You were not signed in at {guarded.base_url}.\n", "")
    # A session that has ended elsewhere is no obstacle.
    sign_in(mh, given)
    guarded.end_sessions(ann.id)
    assert mh("logout")[0] == 0


def test_signing_out_forgets_the_session_even_if_the_platform_is_down(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None], stored: Path
) -> None:
    sign_in(mh, given)
    guarded.is_down = True
    code, _, errors = mh("logout")
    assert code == 3
    assert errors.startswith("mh: signed out on this machine only; the session itself ends when")
    assert json.loads(stored.read_text()) == {"platforms": {}}


def test_who_one_is(guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None]) -> None:
    sign_in(mh, given)
    _, output, _ = mh("whoami")
    assert output.splitlines()[1] == "By session 1"
    assert json.loads(mh("whoami", "--json")[1])["username"] == "ann"
    _, output, _ = mh("roles")
    assert output.splitlines()[0] == "counselor  answers, conversations:read, history:own, search"
    assert [one["role"] for one in json.loads(mh("roles", "--json")[1])] == list(Role)


def test_a_platform_without_accounts_says_so(
    guarded: StubAccess, mh: RunCommand, given: Callable[[str], None], stored: Path
) -> None:
    guarded.is_open = True
    code, _, errors = sign_in(mh, given)
    assert (code, errors) == (1, "mh: 409 Conflict: There are no accounts (AUTH_MODE=open).\n")
    given("mh_key_x")
    code, output, errors = mh("login", "--key")
    assert (code, output) == (1, "")
    assert "has no accounts (AUTH_MODE=open): everybody may do everything. Nothing was stored" in errors
    assert not stored.exists()
    assert "There are no accounts (AUTH_MODE=open)" in mh("whoami")[1]


def test_the_environment_goes_before_what_is_stored(
    guarded: StubAccess,
    ann: User,
    mh: RunCommand,
    given: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    sign_in(mh, given)
    bob = guarded.add_user("bob", Role.COUNSELOR)
    file = tmp_path / "key"
    file.write_text(f"{guarded.add_key(bob, [Scope.CONVERSATIONS_READ])}\n")
    monkeypatch.setenv("MH_API_KEY_FILE", str(file))
    assert mh("whoami")[1].startswith("bob, counselor")
    monkeypatch.setenv("MH_API_KEY", guarded.add_key(guarded.add_user("eve", Role.OPERATOR), [Scope.INDEX_OPERATE]))
    assert mh("whoami")[1].startswith("eve, operator")
    assert sign_in(mh, given)[2] == "mh: MH_API_KEY is set, and goes before this; unset it to act as ann\n"
    assert mh("logout")[2] == "mh: MH_API_KEY is still set, and commands go on to use it\n"
    monkeypatch.delenv("MH_API_KEY")
    for path, message in (
        (file.with_name("absent"), "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a"),
    ):
        monkeypatch.setenv("MH_API_KEY_FILE", str(path))
        code, _, errors = mh("whoami")
        assert (code, message in errors) == (2, True)
    file.write_text("two words")
    monkeypatch.setenv("MH_API_KEY_FILE", str(file))
    code, _, errors = mh("whoami")
    assert code == 2
    assert f"MH_API_KEY_FILE: {file}: must be one word" in errors


@pytest.mark.parametrize(
    "args", [("stats",), ("search", "x"), ("ask", "x"), ("index", "status"), ("keys", "list"), ("export",), ("whoami",)]
)
def test_a_stranger_is_told_to_sign_in(guarded: StubAccess, mh: RunCommand, args: tuple[str, ...]) -> None:
    assert mh(*args) == (
        1,
        "",
        "mh: this platform asks who you are. Sign in with `mh login`, with the same --url if you gave one, or set "
        "MH_API_KEY\n",
    )


def test_a_refused_credential_is_named_by_where_it_comes_from(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(mh, given)
    guarded.end_sessions(ann.id)
    assert mh("stats") == (1, "", "mh: This session has ended. Sign in again. Use `mh login`\n")
    monkeypatch.setenv("MH_API_KEY", "mh_key_unknown")
    assert mh("stats") == (
        1,
        "",
        "mh: This credential is not known here. Was it copied completely? It comes from MH_API_KEY: replace it there, "
        "or unset MH_API_KEY and use `mh login`\n",
    )


def test_what_one_may_not_do_is_said_with_the_scope(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None]
) -> None:
    sign_in(mh, given)
    said = "Your role, curator, does not have it; ask an administrator. `mh whoami` shows what you may do."
    assert mh("users", "list") == (1, "", f"mh: This needs the scope users:manage. {said}\n")


def test_a_first_administrator_is_set_up(
    guarded: StubAccess, mh: RunCommand, given: Callable[[str], None], typed: TypeInto
) -> None:
    given(PASSWORD)
    code, _, errors = mh("setup", "--token", "mh_set_guess", "--username", "ann", "--password-stdin")
    assert (code, errors) == (1, "mh: The setup token is wrong, or was used.\n")
    code, shown = typed(
        ["setup", "--token", guarded.setup_token, "--display-name", "Ann Example"],
        [
            ("Username: ", "ann"),
            ("Password: ", PASSWORD),
            ("Repeat for confirmation: ", "something else"),
            ("Password: ", PASSWORD),
            ("Repeat for confirmation: ", PASSWORD),
        ],
    )
    assert code == 0
    assert PASSWORD not in shown
    assert f"ann is an administrator of {guarded.base_url} now. To sign in: mh login --username ann" in shown
    assert guarded.accounts[1].display_name == "Ann Example"
    assert sign_in(mh, given)[0] == 0


def test_a_password_is_changed(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None], typed: TypeInto
) -> None:
    sign_in(mh, given)
    given(f"{PASSWORD}\r\nanother long phrase\r\n")
    assert mh("password", "--password-stdin")[:2] == (0, "The password was changed. Your other sessions have ended.\n")
    assert guarded.passwords[ann.id] == "another long phrase"
    given("another long phrase\n")
    assert mh("password", "--password-stdin")[2] == "mh: passwords: must be 2 lines on standard input\n"
    given("wrong\nanother long phrase\n")
    code, _, errors = mh("password", "--password-stdin")
    assert (code, "The current password is wrong." in errors) == (1, True)
    code, shown = typed(
        ["password"],
        [
            ("Current password: ", "another long phrase"),
            ("New password: ", PASSWORD),
            ("Repeat for confirmation: ", PASSWORD),
        ],
    )
    assert code == 0
    assert guarded.passwords[ann.id] == PASSWORD
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["login"], "username: cannot be asked for: standard input is not a terminal. --help shows"),
        (["login", "--username", "ann"], "password: cannot be asked for: standard input is not a terminal"),
        (["login", "--password-stdin"], "--password-stdin needs --username"),
        (["login", "--key", "--username", "ann"], "--key goes without --username and --password-stdin"),
        (["setup", "--token", "x", "--password-stdin"], "--password-stdin needs --username"),
        (["login", "--url", "http://ann:secret@127.0.0.1"], "base_url: must have no user name"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(
    guarded: StubAccess, mh: RunCommand, given: Callable[[str], None], args: list[str], message: str
) -> None:
    given("")
    code, output, errors = mh(*args)
    assert (code, output) == (2, "")
    assert message in errors.splitlines()[-1]
    assert "secret" not in errors
    assert guarded.authorizations == []


def test_an_unencrypted_connection_to_another_machine_is_pointed_out(
    mh: RunCommand, given: Callable[[str], None]
) -> None:
    given("")
    url = "http://mh.example.org"
    _, _, errors = mh("--url", url, "login", "--username", "ann", "--password-stdin")
    assert (
        errors.splitlines()[0] == f"mh: {url} is not encrypted: others on the network can read what you send. Use https"
    )
    for quiet in ("https://mh.example.org", "http://localhost:8080", "http://[::1]:8080"):
        given("")
        assert "encrypted" not in mh("--url", quiet, "login", "--username", "ann", "--password-stdin")[2]


def test_what_is_stored_badly_is_said(
    stub: StubPlatform, mh: RunCommand, stored: Path, given: Callable[[str], None]
) -> None:
    stored.parent.mkdir(parents=True)
    stored.write_text('{"platforms": {"x": {"token": "mh_ses_secret"')
    stored.chmod(0o600)
    code, _, errors = mh("stats")
    assert code == 2
    assert errors == f"mh: credentials: cannot be read from {stored}: delete that file, and use `mh login` again\n"
    entry = {"token": "mh_ses_1", "kind": "session", "username": "ann"}
    stored.write_text(json.dumps({"platforms": {stub.base_url: entry}}))
    stored.chmod(0o644)
    code, _, errors = mh("stats")
    assert code == 0
    assert f"mh: other users of this machine can read {stored}, which is like a password: chmod 600" in errors


def test_what_cannot_be_stored_is_said(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None], stored: Path
) -> None:
    stored.parent.parent.mkdir()
    stored.parent.write_text("a file where the folder should be")
    code, output, errors = sign_in(mh, given)
    assert (code, output) == (2, "")
    assert errors.startswith("mh: credentials: cannot be ")


def test_too_many_attempts_are_told_apart_from_an_outage(
    guarded: StubAccess, mh: RunCommand, given: Callable[[str], None]
) -> None:
    guarded.is_too_often = True
    code, _, errors = sign_in(mh, given)
    assert code == 3
    assert errors == (
        "mh: that was too often; try again later. The platform returned: 429 Too Many Requests: Too many attempts. "
        "Try again in 800 seconds.\n"
    )
    assert len(guarded.authorizations) == 1


def test_no_server_is_one_clear_line(mh: RunCommand, given: Callable[[str], None]) -> None:
    code, _, errors = sign_in(mh, given, "--url", NOBODY)
    assert code == 3
    assert errors.count("\n") == 1
    assert NOBODY in errors
