"""Tokens, roles, and the declarations without which an application does not start."""

import pytest
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from mh_common.access_settings import AuthSettings, ServiceKeySettings
from mh_common.auth.principals import LOCAL, Principal
from mh_common.auth.roles import SCOPES_OF, Role, Scope, known_scopes, missing_companions
from mh_common.auth.tokens import ALPHABET, TokenKind, kind_of, make_token, shown_part, token_hash
from mh_common.errors import PermissionDeniedError
from mh_common.models import ApiKeyCreate, PrincipalKind
from mh_common.settings import OtelSettings
from mh_common.web.access import (
    ACCESS,
    PUBLIC,
    SIGNED_IN,
    Access,
    GuardedRoute,
    UndeclaredRoutesError,
    declared_routes,
    requires,
)
from mh_common.web.application import make_application
from pydantic import SecretStr, ValidationError


@given(st.sampled_from(TokenKind))
def test_a_token_says_what_it_is(kind: TokenKind) -> None:
    token = make_token(kind)
    assert kind_of(token) is kind
    assert token.startswith(kind.value)
    assert len(token_hash(token)) == 32
    shown = shown_part(token)
    assert token.startswith(shown.removesuffix("…"))
    assert len(shown) < 20


@given(st.sampled_from(TokenKind), st.data())
def test_a_token_with_another_or_a_missing_character_is_none(kind: TokenKind, data: st.DataObject) -> None:
    token = make_token(kind)
    place = data.draw(st.integers(len(kind.value), len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda one: one != token[place]))
    assert kind_of(token[:place] + other + token[place + 1 :]) is None
    assert kind_of(token[:place] + token[place + 1 :]) is None
    assert kind_of(token + other) is None


@given(st.text())
def test_other_texts_are_no_tokens(text: str) -> None:
    assert kind_of(text) is None
    for kind in TokenKind:
        assert kind_of(kind.value + text) is None


def test_two_tokens_are_never_the_same() -> None:
    assert len({make_token(TokenKind.API_KEY) for _ in range(1000)}) == 1000


def test_no_role_has_the_scope_of_the_platform_s_own_services() -> None:
    assert all(Scope.INTERNAL not in scopes for scopes in SCOPES_OF.values())
    assert SCOPES_OF.keys() == set(Role)


def test_operators_read_no_texts() -> None:
    texts = {Scope.CONVERSATIONS_READ, Scope.SEARCH, Scope.ANSWERS, Scope.CONVERSATIONS_EXPORT, Scope.HISTORY_OWN}
    assert texts.isdisjoint(SCOPES_OF[Role.OPERATOR])


def test_every_role_can_use_its_scopes() -> None:
    assert all(not missing_companions(scopes) for scopes in SCOPES_OF.values())


def test_scopes_of_a_later_release_are_left_out() -> None:
    assert known_scopes(["search", "telepathy"]) == {Scope.SEARCH}


@pytest.mark.parametrize("scopes", [["search"], ["internal"], [], ["telepathy"], "search", [True]])
def test_a_key_gets_only_scopes_that_it_can_use(scopes: object) -> None:
    with pytest.raises(ValidationError):
        ApiKeyCreate.model_validate({"name": "test", "scopes": scopes})


def test_a_missing_scope_is_named() -> None:
    person = Principal("ann", PrincipalKind.PERSON, SCOPES_OF[Role.COUNSELOR], Role.COUNSELOR, user_id=1)
    person.require(Scope.SEARCH, Scope.ANSWERS)
    with pytest.raises(PermissionDeniedError, match="needs the scope conversations:delete") as refused:
        person.require(Scope.SEARCH, Scope.CONVERSATIONS_DELETE)
    assert refused.value.members == {"missing_scopes": ["conversations:delete"]}
    LOCAL.require(*Scope)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.9.9.9"])
def test_open_is_for_this_machine(host: str) -> None:
    AuthSettings(mode="open").check(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "mh.example", "2001:db8::1", ""])  # noqa: S104
def test_open_is_for_no_other_address(host: str) -> None:
    AuthSettings(mode="required").check(host)
    with pytest.raises(ValueError, match="AUTH_MODE=required"):
        AuthSettings(mode="open").check(host)


def test_the_mode_must_be_chosen() -> None:
    with pytest.raises(ValueError, match="AUTH_MODE: must be set"):
        AuthSettings().check("127.0.0.1")


def test_a_service_key_is_a_whole_one() -> None:
    whole = make_token(TokenKind.SERVICE_KEY)
    ServiceKeySettings(service_key=SecretStr(whole))
    for key in ("secret", make_token(TokenKind.API_KEY), whole[:-1]):
        with pytest.raises(ValidationError) as refused:
            ServiceKeySettings(service_key=SecretStr(key))
        assert key not in str(refused.value)


def an_application(*, declared: bool, guarded: bool = True) -> FastAPI:
    async def start(_: object) -> dict[str, object]:
        return {ACCESS: Access()}

    app = make_application(
        start, service="mh-common", otel=OtelSettings(), title="Test", description="Test", checks=lambda _: {}
    )
    kind = GuardedRoute if guarded else APIRoute
    router = APIRouter(prefix="/things", route_class=kind, dependencies=[requires(Scope.SEARCH)])
    for path, dependencies in (("/own", [requires(Scope.ANSWERS)]), ("/inherited", [])):
        router.get(path, dependencies=dependencies)(lambda: None)
    app.include_router(router)
    inner = FastAPI(openapi_url=None)
    inner.router.route_class = GuardedRoute
    inner.get("/signed-in", dependencies=[SIGNED_IN])(lambda: None)
    inner.get("/public", dependencies=[PUBLIC])(lambda: None)
    inner.get("/maybe", dependencies=[PUBLIC] if declared else [])(lambda: None)
    app.mount("/inner", inner)
    return app


def test_declarations_add_up_and_mounted_applications_count() -> None:
    found = {route.path: route.scopes for route in declared_routes(an_application(declared=True))}
    assert found == {
        "/livez": None,
        "/readyz": None,
        "/metrics": None,
        "/things/own": {Scope.SEARCH, Scope.ANSWERS},
        "/things/inherited": {Scope.SEARCH},
        "/inner/signed-in": frozenset(),
        "/inner/public": None,
        "/inner/maybe": None,
    }


async def test_an_application_with_a_route_that_declares_nothing_does_not_start() -> None:
    async with LifespanManager(an_application(declared=True)):
        pass
    with pytest.raises(UndeclaredRoutesError, match="/inner/maybe"):
        async with LifespanManager(an_application(declared=False)):
            pass


async def test_an_application_with_a_route_that_checks_too_late_does_not_start() -> None:
    with pytest.raises(UndeclaredRoutesError, match=r"GuardedRoute.*: /things/own, /things/inherited"):
        async with LifespanManager(an_application(declared=True, guarded=False)):
            pass
