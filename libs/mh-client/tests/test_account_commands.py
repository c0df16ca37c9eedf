"""The commands of `mh keys` and `mh users`."""

import io
import json
import sys
from collections.abc import Callable

import pytest
from mh_client import Role, Scope, User
from mh_devtools.stubs.access_stub import StubAccess
from mh_devtools.testing.fixtures import RunCommand

PASSWORD = "choose a long phrase"
SEARCH = ("--scope", "search", "--scope", "conversations:read")


@pytest.fixture
def ann(guarded: StubAccess, monkeypatch: pytest.MonkeyPatch) -> User:
    """An administrator, whose key commands send."""
    user = guarded.add_user("ann", Role.ADMIN)
    monkeypatch.setenv("MH_API_KEY", guarded.add_key(user, list(Scope), "mine"))
    return user


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets what standard input has."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_new_key_is_alone_on_standard_output(
    guarded: StubAccess, ann: User, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output, errors = mh("keys", "create", "intranet", *SEARCH, "--expires", "2027-01-01")
    token = output.removesuffix("\n")
    assert (code, token in guarded.issued) == (0, True)
    assert errors.splitlines() == [
        "mh: key 2 of ann, until 2027-01-01 00:00 UTC: conversations:read, search",
        "mh: it is shown only now. Keep it like a password",
    ]
    monkeypatch.setenv("MH_API_KEY", token)
    assert mh("whoami")[0] == 0
    assert mh("keys", "list")[0] == 0


def test_keys_are_listed_rotated_and_revoked(guarded: StubAccess, ann: User, mh: RunCommand) -> None:
    bob = guarded.add_user("bob", Role.COUNSELOR)
    made = json.loads(mh("keys", "create", "for \x1b[31mBob", *SEARCH, "--user-id", bob.id, "--json")[1])
    old, key = made["token"], made["api_key"]["id"]
    code, output, errors = mh("keys", "rotate", key)
    assert (code, output.removesuffix("\n") in guarded.issued) == (0, True)
    assert guarded.issued[old].has_ended
    assert errors.splitlines()[-1] == f"mh: key {key} has ended: replace it wherever it is used"
    assert mh("keys", "revoke", 3) == (0, "Revoked.\n", "")
    assert guarded.issued[output.removesuffix("\n")].has_ended
    lines = mh("keys", "list")[1].splitlines()
    assert [line.split()[0] for line in lines[::2]] == ["3", "2", "There"]
    assert "bob" in lines[0]
    assert "revoked 2026-03-01" in lines[0]
    assert "\x1b" not in lines[0]
    assert lines[1].strip() == "conversations:read, search"
    assert lines[-1] == "There are more: --cursor 2"
    lines = mh("keys", "list", "--cursor", 2)[1].splitlines()
    assert "without end, never used" in lines[0]
    assert [one["name"] for one in json.loads(mh("keys", "list", "--user-id", bob.id, "--json")[1])["items"]] == [
        "for \x1b[31mBob"
    ] * 2
    assert mh("keys", "list", "--user-id", 9)[1] == "There are no keys.\n"
    code, _, errors = mh("keys", "revoke", 99)
    assert (code, errors) == (1, "mh: 404 Not Found: There is no key 99.\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing option '--scope'"),
        (["--scope", "everything"], "'everything' is not one of"),
        (["--scope", "internal"], "scopes: must not contain internal"),
        (["--scope", "search"], "must also contain conversations:read"),
        (["--scope", "answers", "--expires", "soon"], "'soon' is not a time"),
    ],
)
def test_a_key_needs_scopes_that_are_of_use(
    guarded: StubAccess, ann: User, mh: RunCommand, args: list[str], message: str
) -> None:
    code, output, errors = mh("keys", "create", "x", *args)
    assert (code, output) == (2, "")
    assert message in errors
    assert guarded.authorizations == []


def test_accounts_are_added_shown_changed_and_listed(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None]
) -> None:
    given(f"{PASSWORD}\n")
    code, output, errors = mh(
        "users", "add", "bob", "--role", "counselor", "--email", "bob@example.org", "--password-stdin"
    )
    assert (code, errors) == (0, "")
    shown = ["account 2: bob, counselor, person, active", "email: bob@example.org"]
    assert output.splitlines() == [*shown, "has a password: yes", "last signed in: never"]
    assert guarded.passwords[2] == PASSWORD
    assert mh("users", "show", 2)[1] == output
    assert json.loads(mh("users", "show", 2, "--json")[1])["username"] == "bob"
    _, output, _ = mh("users", "set", 2, "--role", "curator", "--display-name", "Bob", "--clear", "email")
    assert output.splitlines()[:2] == ["account 2: bob, curator, person, active", "display_name: Bob"]
    assert (guarded.accounts[2].email, guarded.accounts[2].role) == (None, Role.CURATOR)
    given("another long phrase")
    assert mh("users", "set", 2, "--password-stdin")[0] == 0
    assert guarded.passwords[2] == "another long phrase"
    assert "disabled" in mh("users", "disable", 2)[1]
    _, output, _ = mh("users", "add", "eve", "--role", "operator")
    lines = mh("users", "list")[1].splitlines()
    assert lines[1].split() == ["2", "bob", "curator", "person", "Bob", "disabled"]
    assert lines[2] == "There are more: --cursor 2"
    assert [one["username"] for one in json.loads(mh("users", "list", "--cursor", 2, "--json")[1])["items"]] == ["eve"]
    assert "active" in mh("users", "enable", 2)[1]


def test_what_a_new_account_still_needs_is_said(guarded: StubAccess, ann: User, mh: RunCommand) -> None:
    _, output, errors = mh("users", "add", "robot", "--role", "counselor", "--service")
    assert output == "account 2: robot, counselor, service, active\n"
    assert errors == "mh: to make a key for it: mh keys create NAME --scope SCOPE --user-id 2\n"
    _, _, errors = mh("users", "add", "bob", "--role", "counselor")
    assert errors == "mh: nobody can sign in with it until it has a password: mh users set 3 --ask-password\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["add", "bob"], "Missing option '--role'"),
        (["add", "bob", "--role", "owner"], "'owner' is not one of"),
        (["add", "two words", "--role", "curator"], "username: "),
        (["add", "bob", "--role", "curator", "--password", "x"], "No such option"),
        (["add", "bob", "--role", "curator", "--ask-password"], "password: cannot be asked for"),
        (
            ["add", "bob", "--role", "curator", "--password-stdin"],
            "password: String should have at least 12 characters",
        ),
        (["set", "1"], "name what to change, such as --role"),
        (["set", "1", "--clear", "role"], "'role' cannot be removed; these can: display-name, email"),
        (["set", "1", "--ask-password", "--password-stdin"], "exclude each other"),
        (["show", "ann"], "'ann' must be a whole number"),
    ],
)
def test_invalid_arguments_are_refused_clearly(
    guarded: StubAccess, ann: User, mh: RunCommand, given: Callable[[str], None], args: list[str], message: str
) -> None:
    given("short")
    code, output, errors = mh("users", *args)
    assert (code, output) == (2, "")
    assert message in errors
    assert "Traceback" not in errors
    assert "short" not in errors
    assert guarded.authorizations == []
