"""`StubPlatform` with accounts: every route needs a session or an API key, and the scopes of its owner's role.

with StubAccess.running() as stub:
    ann = stub.add_user("ann", Role.CURATOR, "choose a long phrase")
    client = Client(stub.base_url, api_key=stub.add_key(ann, [Scope.SEARCH]))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mh_common.auth.principals import LOCAL, Principal
from mh_common.auth.roles import GIVEN_TO_KEYS, SCOPES_OF, Role, Scope, key_scopes, known_scopes
from mh_common.auth.tokens import TokenKind, make_token, shown_part
from mh_common.errors import PermissionDeniedError
from mh_common.models import (
    AccountKind,
    AccountState,
    ApiKey,
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyPage,
    Credential,
    CredentialKind,
    FieldProblem,
    Me,
    PasswordChange,
    PrincipalKind,
    Problem,
    RoleScopes,
    Session,
    SessionCreate,
    SessionCreated,
    SessionList,
    Setup,
    User,
    UserCreate,
    UserPage,
    UserUpdate,
)
from pydantic import TypeAdapter
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.stubs.server import json_response

PAGE: Final = 2
"""Items per page."""
AT: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When everything was made."""
ENDS: Final = datetime(2026, 3, 15, 12, tzinfo=UTC)
"""When sessions end."""
NO_ACCOUNTS: Final = "There are no accounts (AUTH_MODE=open)."

_PUBLIC: Final = frozenset({("POST", "/api/v1/setup"), ("POST", "/api/v1/sessions")})
_NEEDED: Final = {
    "/api/v1/users": Scope.USERS_MANAGE,
    "/api/v1/index": Scope.INDEX_OPERATE,
    "/api/v1/search": Scope.SEARCH,
    "/api/v1/conversations": Scope.CONVERSATIONS_READ,
}
"""The scope that each group of routes needs, by the beginning of its paths."""
_ROLES: Final[TypeAdapter[list[RoleScopes]]] = TypeAdapter(list[RoleScopes])


@dataclass
class _Issued:
    """A token's session or key; what has ended is kept, and refused with a reason of its own."""

    user_id: int
    item: Session | ApiKey
    has_ended: bool = False


class StubAccess(StubPlatform):
    """The server's state, as in `StubPlatform`.

    Attributes:
        accounts: the accounts by id.
        passwords: the passwords of those that have one.
        issued: the sessions and keys by their tokens.
        setup_token: makes the first administrator.
        is_open: whether there are no accounts, as with AUTH_MODE=open.
        authorizations: the Authorization header of each request, in order.
        is_down: whether every request is answered 503.
        is_too_often: whether signing in is answered 429.
    """

    def __init__(self) -> None:
        super().__init__()
        self.accounts: dict[int, User] = {}
        self.passwords: dict[int, str] = {}
        self.issued: dict[str, _Issued] = {}
        self.setup_token = make_token(TokenKind.SETUP)
        self.is_open = False
        self.authorizations: list[str | None] = []
        self.is_down = False
        self.is_too_often = False
        routes = [
            Route("/api/v1/setup", self._set_up, methods=["POST"]),
            Route("/api/v1/sessions", self._sign_in, methods=["POST"]),
            Route("/api/v1/sessions", self._list_sessions),
            Route("/api/v1/sessions/{key}", self._end_session, methods=["DELETE"]),
            Route("/api/v1/me", self._me),
            Route("/api/v1/me/password", self._change_password, methods=["PUT"]),
            Route("/api/v1/api-keys", self._make_key, methods=["POST"]),
            Route("/api/v1/api-keys", self._list_keys),
            Route("/api/v1/api-keys/{key:int}", self._revoke, methods=["DELETE"]),
            Route("/api/v1/api-keys/{key:int}/rotate", self._rotate, methods=["POST"]),
            Route("/api/v1/users", self._add_user, methods=["POST"]),
            Route("/api/v1/users", self._list_users),
            Route("/api/v1/users/{key:int}", self._user, methods=["GET", "PATCH"]),
            Route("/api/v1/roles", self._roles),
        ]
        self.app.router.routes[:0] = routes
        self.app.user_middleware.append(Middleware(_Guard, stub=self))

    def add_user(self, username: str, role: Role, password: str | None = None, **fields: Any) -> User:
        """Add an account, with these other fields of `User`."""
        values: dict[str, Any] = {"display_name": None, "email": None, "kind": AccountKind.PERSON} | fields
        user = User(
            id=len(self.accounts) + 1,
            username=username,
            role=role,
            state=AccountState.ACTIVE,
            has_password=password is not None,
            created_at=AT,
            updated_at=AT,
            last_login_at=None,
            version=1,
            **values,
        )
        self.accounts[user.id] = user
        if password is not None:
            self.passwords[user.id] = password
        return user

    def add_session(self, user: User) -> str:
        """Sign a user in; return the session's token."""
        token = make_token(TokenKind.SESSION)
        session = Session(
            id=len(self.issued) + 1,
            created_at=AT,
            last_seen_at=AT,
            expires_at=ENDS,
            ip="127.0.0.1",
            user_agent="stub",
            current=False,
        )
        self.issued[token] = _Issued(user.id, session)
        return token

    def add_key(self, user: User, scopes: Sequence[str], name: str = "a program", **fields: Any) -> str:
        """Make a key, with these other fields of `ApiKey`; return it."""
        token = make_token(TokenKind.API_KEY)
        values: dict[str, Any] = {"created_by": user.id, "expires_at": None} | fields
        key = ApiKey(
            id=len(self.issued) + 1,
            name=name,
            shown=shown_part(token),
            user_id=user.id,
            username=user.username,
            scopes=list(scopes),
            created_at=AT,
            last_used_at=None,
            revoked_at=None,
            **values,
        )
        self.issued[token] = _Issued(user.id, key)
        return token

    def end_sessions(self, user_id: int, but: str | None = None) -> None:
        """End a user's sessions, except the one with the token `but`."""
        for token, one in self.issued.items():
            if isinstance(one.item, Session) and one.user_id == user_id and token != but:
                one.has_ended = True

    def refusal(self, request: Request) -> Response | None:
        """Return why a request is refused, or None."""
        self.authorizations.append(request.headers.get("Authorization"))
        if self.is_down:
            return _problem(503, "The stub is down.")
        if self.is_open or (request.method, request.url.path) in _PUBLIC:
            return None
        token = _token(request)
        issued = self.issued.get(token)
        if issued is None:
            known = "This credential is not known here. Was it copied completely?"
            return _problem(401, known if token else "Sign in, or send an API key as `Authorization: Bearer KEY`.")
        if issued.has_ended:
            kind = "session has ended. Sign in again." if isinstance(issued.item, Session) else "API key was revoked."
            return _problem(401, f"This {kind}")
        if self.accounts[issued.user_id].state is AccountState.DISABLED:
            return _problem(401, "This account is disabled. Ask an administrator.")
        principal = self.principal(request)
        needed = [scope for path, scope in _NEEDED.items() if request.url.path.startswith(path)]
        try:
            principal.require(*needed)
        except PermissionDeniedError as error:
            return _problem(403, str(error), **error.members)
        return None

    def principal(self, request: Request) -> Principal:
        """Return who sends a request that is not refused."""
        if self.is_open:
            return LOCAL
        issued = self.issued[_token(request)]
        user = self.accounts[issued.user_id]
        scopes, kind = SCOPES_OF[user.role], CredentialKind.SESSION
        if isinstance(issued.item, ApiKey):
            granted, of_service = known_scopes(issued.item.scopes), user.kind is AccountKind.SERVICE
            scopes, kind = key_scopes(user.role, granted, of_service=of_service), CredentialKind.API_KEY
        return Principal(
            user.username, PrincipalKind(user.kind.value), scopes, user.role, user.id, kind, issued.item.id
        )

    async def _set_up(self, request: Request) -> Response:
        content = Setup.model_validate_json(await request.body())
        if self.is_open:
            return _problem(409, NO_ACCOUNTS)
        if self.accounts or content.token != self.setup_token:
            return _problem(401, "The setup token is wrong, or was used.")
        return json_response(
            self.add_user(content.username, Role.ADMIN, content.password, display_name=content.display_name), 201
        )

    async def _sign_in(self, request: Request) -> Response:
        content = SessionCreate.model_validate_json(await request.body())
        if self.is_too_often:
            return _problem(429, "Too many attempts. Try again in 800 seconds.", headers={"Retry-After": "800"})
        if self.is_open:
            return _problem(409, NO_ACCOUNTS)
        for user in self.accounts.values():
            if user.username == content.username and self.passwords.get(user.id) == content.password:
                token = self.add_session(user)
                return json_response(SessionCreated(session=self._sessions()[token], token=token), 201)
        return _problem(401, "The username or the password is wrong.")

    async def _list_sessions(self, request: Request) -> Response:
        own = [token for token in self._sessions() if self.issued[token].user_id == self.principal(request).user_id]
        current = _token(request)
        items = [self._sessions()[token].model_copy(update={"current": token == current}) for token in own]
        return json_response(SessionList(items=items[::-1]))

    async def _end_session(self, request: Request) -> Response:
        key, principal = request.path_params["key"], self.principal(request)
        number = principal.credential_id if key == "current" else int(key)
        for token, session in self._sessions().items():
            if session.id == number and self.issued[token].user_id == principal.user_id:
                self.issued[token].has_ended = True
                return Response(status_code=204)
        return _problem(404, f"There is no session {key}.")

    async def _me(self, request: Request) -> Response:
        caller = self.principal(request)
        user = self.accounts.get(caller.user_id or 0)
        credential = None
        if caller.credential is not None:
            credential = Credential(kind=caller.credential, id=caller.credential_id)
        return json_response(
            Me(
                id=caller.user_id,
                username=caller.username,
                display_name=user and user.display_name,
                kind=caller.kind,
                role=caller.role,
                scopes=sorted(caller.scopes),
                credential=credential,
            )
        )

    async def _change_password(self, request: Request) -> Response:
        change = PasswordChange.model_validate_json(await request.body())
        user_id = self.principal(request).user_id or 0
        if self.passwords.get(user_id) != change.current_password:
            problem = FieldProblem(field="current_password", message="is wrong")
            return _problem(400, "The current password is wrong.", errors=[problem])
        self.passwords[user_id] = change.new_password
        self.end_sessions(user_id, but=_token(request))
        return Response(status_code=204)

    async def _make_key(self, request: Request) -> Response:
        content = ApiKeyCreate.model_validate_json(await request.body())
        if self.is_open:
            return _problem(409, NO_ACCOUNTS)
        maker = self.principal(request)
        owner = self.accounts[content.user_id or maker.user_id or 0]
        if beyond := sorted(set(content.scopes) - SCOPES_OF[owner.role] - GIVEN_TO_KEYS):
            message = f"must be scopes of the owner's role, {owner.role}, which lacks {', '.join(beyond)}"
            problem = FieldProblem(field="scopes", message=message)
            return _problem(422, "The request's body is invalid; see errors.", errors=[problem])
        token = self.add_key(
            owner, content.scopes, content.name, expires_at=content.expires_at, created_by=maker.user_id
        )
        return json_response(ApiKeyCreated(api_key=self._keys()[token], token=token), 201)

    async def _list_keys(self, request: Request) -> Response:
        caller = self.principal(request)
        owner = request.query_params.get("user_id")
        before = int(request.query_params.get("cursor", 2**31))
        mine = None if Scope.USERS_MANAGE in caller.scopes else caller.user_id
        found = [
            key
            for key in reversed(self._keys().values())
            if key.id < before and mine in (None, key.user_id) and owner in (None, str(key.user_id))
        ]
        cursor = str(found[PAGE - 1].id) if len(found) > PAGE else None
        return json_response(ApiKeyPage(items=found[:PAGE], next_cursor=cursor))

    async def _revoke(self, request: Request) -> Response:
        if (token := self._token_of_key(request)) is None:
            return _problem(404, f"There is no key {request.path_params['key']}.")
        self._end_key(token)
        return Response(status_code=204)

    async def _rotate(self, request: Request) -> Response:
        if (token := self._token_of_key(request)) is None:
            return _problem(404, f"There is no key {request.path_params['key']}.")
        old = self._keys()[token]
        made = self.add_key(self.accounts[old.user_id], old.scopes, old.name, expires_at=old.expires_at)
        self._end_key(token)
        return json_response(ApiKeyCreated(api_key=self._keys()[made], token=made), 201)

    async def _add_user(self, request: Request) -> Response:
        content = UserCreate.model_validate_json(await request.body())
        if any(user.username == content.username for user in self.accounts.values()):
            return _problem(409, f"There is an account {content.username} already.")
        return json_response(self.add_user(**content.model_dump()), 201)

    async def _list_users(self, request: Request) -> Response:
        after = int(request.query_params.get("cursor", 0))
        found = [user for key, user in self.accounts.items() if key > after]
        cursor = str(found[PAGE - 1].id) if len(found) > PAGE else None
        return json_response(UserPage(items=found[:PAGE], next_cursor=cursor))

    async def _user(self, request: Request) -> Response:
        key = request.path_params["key"]
        if key not in self.accounts:
            return _problem(404, f"There is no user {key}.")
        if request.method == "PATCH":
            change = UserUpdate.model_validate_json(await request.body())
            given = change.model_dump(exclude_unset=True)
            if password := given.pop("password", None):
                self.passwords[key] = password
                given["has_password"] = True
            self.accounts[key] = self.accounts[key].model_copy(update=given)
            if password or self.accounts[key].state is AccountState.DISABLED:
                self.end_sessions(key)
        return json_response(self.accounts[key])

    async def _roles(self, request: Request) -> Response:
        roles = [RoleScopes(role=role, scopes=sorted(scopes)) for role, scopes in SCOPES_OF.items()]
        return Response(_ROLES.dump_json(roles), media_type="application/json")

    def _sessions(self) -> dict[str, Session]:
        return {
            token: one.item for token, one in self.issued.items() if isinstance(one.item, Session) and not one.has_ended
        }

    def _keys(self) -> dict[str, ApiKey]:
        return {token: one.item for token, one in self.issued.items() if isinstance(one.item, ApiKey)}

    def _token_of_key(self, request: Request) -> str | None:
        return next((token for token, key in self._keys().items() if key.id == request.path_params["key"]), None)

    def _end_key(self, token: str) -> None:
        issued = self.issued[token]
        issued.has_ended = True
        issued.item = issued.item.model_copy(update={"revoked_at": AT})


class _Guard:
    """Answers the requests that the stub refuses."""

    def __init__(self, app: ASGIApp, stub: StubAccess) -> None:
        self._app = app
        self._stub = stub

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        refused = self._stub.refusal(Request(scope)) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)


def _token(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    problem = Problem(title="Refused", status=status, detail=detail, **members)
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, headers, media_type="application/problem+json")
