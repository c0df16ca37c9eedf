"""`me`, `roles`, `set_up`, `change_password`, `users`, `api_keys` and `sessions`; every test runs with both clients."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

import pytest
from mh_client import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    Role,
    Scope,
    UnprocessableError,
    User,
)
from mh_client.resources.api_keys import ScopeName
from mh_client.resources.users import RoleName
from mh_devtools.stubs.access_stub import StubAccess
from mh_devtools.testing.fixtures import CallMethod

PASSWORD = "choose a long phrase"
SEARCH = [Scope.SEARCH, Scope.CONVERSATIONS_READ]


@pytest.fixture
def ann(guarded: StubAccess) -> User:
    """An administrator."""
    return guarded.add_user("ann", Role.ADMIN, PASSWORD, display_name="Ann Example")


@pytest.fixture
def call(calling: Callable[..., CallMethod], guarded: StubAccess, ann: User) -> CallMethod:
    """Call a method as the administrator."""
    return calling(guarded.base_url, api_key=guarded.add_session(ann))


def test_the_first_administrator_is_set_up_once(calling: Callable[..., CallMethod], guarded: StubAccess) -> None:
    call = calling(guarded.base_url)
    with pytest.raises(AuthenticationError, match="The setup token is wrong"):
        call("set_up", "mh_set_guess", "ann", PASSWORD)
    user = call("set_up", guarded.setup_token, "ann", PASSWORD, "Ann Example")
    assert (user.username, user.role, user.display_name) == ("ann", Role.ADMIN, "Ann Example")
    with pytest.raises(AuthenticationError):
        call("set_up", guarded.setup_token, "eve", PASSWORD)
    token = call("sessions.create", "ann", PASSWORD).token
    assert calling(guarded.base_url, api_key=token)("me").role is Role.ADMIN


def test_who_the_caller_is_and_what_the_roles_may_do(call: CallMethod) -> None:
    me = call("me")
    assert (me.username, me.display_name, me.credential.kind) == ("ann", "Ann Example", "session")
    assert Scope.USERS_MANAGE in me.scopes
    roles = {one.role: one.scopes for one in call("roles")}
    assert roles.keys() == set(Role)
    assert Scope.USERS_MANAGE not in roles[Role.CURATOR]


def test_without_accounts_everybody_is_local(calling: Callable[..., CallMethod], guarded: StubAccess) -> None:
    guarded.is_open = True
    call = calling(guarded.base_url)
    assert (call("me").username, call("me").credential) == ("local", None)
    with pytest.raises(ConflictError, match="There are no accounts"):
        call("sessions.create", "ann", PASSWORD)


def test_users_are_added_read_changed_and_listed(call: CallMethod, guarded: StubAccess, ann: User) -> None:
    bob = call("users.create", "bob", "counselor", email="bob@example.org", password=PASSWORD)
    assert (bob.id, bob.role, bob.kind, bob.has_password) == (2, Role.COUNSELOR, "person", True)
    robot = call("users.create", "robot", Role.CURATOR, kind="service")
    assert (robot.kind, robot.has_password) == ("service", False)
    with pytest.raises(ConflictError, match="There is an account bob already"):
        call("users.create", "bob", "curator")
    assert call("users.get", 2) == bob
    assert call("users.list").items == [ann, bob]
    assert call("users.list", call("users.list").next_cursor).items == [robot]
    assert call("users.iterate") == [ann, bob, robot]
    with pytest.raises(NotFoundError):
        call("users.get", 9)
    changed = call("users.update", 2, role="curator", display_name="Bob", email=None)
    assert (changed.role, changed.display_name, changed.email) == (Role.CURATOR, "Bob", None)
    assert call("users.update", 2, state="disabled").state == "disabled"
    assert guarded.passwords[2] == PASSWORD
    call("users.update", 2, password="another long phrase")
    assert guarded.passwords[2] == "another long phrase"


def test_what_no_account_can_have_is_not_sent(call: CallMethod, guarded: StubAccess) -> None:
    for values, message in (
        ({"username": "two words", "role": "curator"}, "username"),
        ({"username": "bob", "role": "owner"}, "role"),
        ({"username": "bob", "role": "curator", "password": "too short"}, "password: String should have at least 12"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call("users.create", **values)
    with pytest.raises(TypeError, match="did you mean 'display_name'"):
        call("users.update", 1, display_nam="x")
    assert guarded.authorizations == []


def test_keys_are_made_listed_rotated_and_revoked(
    call: CallMethod, calling: Callable[..., CallMethod], guarded: StubAccess
) -> None:
    ends = datetime(2027, 1, 1, tzinfo=UTC)
    made = call("api_keys.create", "intranet", ["search", "conversations:read"], ends)
    assert (made.api_key.name, made.api_key.expires_at, made.api_key.username) == ("intranet", ends, "ann")
    assert made.api_key.shown == f"{made.token[:11]}…"
    me = calling(guarded.base_url, api_key=made.token)("me")
    assert (set(me.scopes), me.credential.id) == (set(SEARCH), made.api_key.id)
    again = call("api_keys.rotate", made.api_key.id)
    with pytest.raises(AuthenticationError, match="revoked"):
        calling(guarded.base_url, api_key=made.token)("me")
    assert calling(guarded.base_url, api_key=again.token)("me").username == "ann"
    assert call("api_keys.revoke", again.api_key.id) is None
    with pytest.raises(AuthenticationError, match="revoked"):
        calling(guarded.base_url, api_key=again.token)("me")
    with pytest.raises(NotFoundError):
        call("api_keys.rotate", 99)


def test_keys_page_by_page_and_those_of_another_account(call: CallMethod, guarded: StubAccess, ann: User) -> None:
    bob = guarded.add_user("bob", Role.COUNSELOR)
    for number in range(3):
        guarded.add_key(ann, SEARCH, f"key {number}")
    page = call("api_keys.list")
    assert [key.name for key in page.items] == ["key 2", "key 1"]
    assert [key.name for key in call("api_keys.list", page.next_cursor).items] == ["key 0"]
    assert [key.name for key in call("api_keys.iterate")] == ["key 2", "key 1", "key 0"]
    made = call("api_keys.create", "for Bob", SEARCH, user_id=bob.id)
    assert (made.api_key.username, made.api_key.created_by) == ("bob", ann.id)
    assert [key.name for key in call("api_keys.iterate", bob.id)] == ["for Bob"]
    with pytest.raises(UnprocessableError, match="counselor, which lacks users:manage"):
        call("api_keys.create", "too much", ["users:manage"], user_id=bob.id)


@pytest.mark.parametrize(
    ("scopes", "message"),
    [
        ([], "scopes"),
        (["everything"], "scopes"),
        (["internal"], "must not contain internal"),
        (["search"], "must also contain conversations:read"),
    ],
)
def test_scopes_of_no_use_are_refused_before_sending(call: CallMethod, scopes: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call("api_keys.create", "x", scopes)


def test_every_name_of_a_role_or_scope_is_accepted() -> None:
    assert set(get_args(RoleName)) == set(Role)
    assert set(get_args(ScopeName)) == set(Scope) - {Scope.INTERNAL}


def test_sessions_are_listed_and_ended(
    call: CallMethod, calling: Callable[..., CallMethod], guarded: StubAccess, ann: User
) -> None:
    other = call("sessions.create", "ann", PASSWORD)
    assert other.token not in repr(other)
    assert [(one.id, one.current) for one in call("sessions.list").items] == [(2, False), (1, True)]
    elsewhere = calling(guarded.base_url, api_key=other.token)
    assert call("sessions.end", other.session.id) is None
    with pytest.raises(AuthenticationError, match="This session has ended"):
        elsewhere("me")
    with pytest.raises(NotFoundError):
        call("sessions.end", other.session.id)
    assert call("sessions.end_current") is None
    with pytest.raises(AuthenticationError):
        call("me")


def test_a_changed_password_ends_the_other_sessions(
    call: CallMethod, calling: Callable[..., CallMethod], guarded: StubAccess, ann: User
) -> None:
    elsewhere = calling(guarded.base_url, api_key=guarded.add_session(ann))
    with pytest.raises(BadRequestError, match="The current password is wrong"):
        call("change_password", "a wrong password", "another long phrase")
    assert elsewhere("me").username == "ann"
    assert call("change_password", PASSWORD, "another long phrase") is None
    with pytest.raises(AuthenticationError):
        elsewhere("me")
    assert call("me").username == "ann"
    with pytest.raises(InvalidInputError, match="new_password: String should have at least 12"):
        call("change_password", "another long phrase", "short")
