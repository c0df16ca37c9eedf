"""Operations on API keys."""

from mh_common.auth.principals import Principal
from mh_common.auth.roles import GIVEN_TO_KEYS, SCOPES_OF, Scope, known_scopes
from mh_common.auth.tokens import TokenKind, make_token, shown_part, token_hash
from mh_common.errors import ConflictError, InvalidRequestError, NotFoundError
from mh_common.models import AccountKind, AccountState, ApiKeyCreate, ApiKeyCreated, ApiKeyPage, FieldProblem

from conversations_api.api_keys.repository import ApiKeyRepository, to_api_key
from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.models import ApiKeyRow, UserRow
from conversations_api.users.repository import UserRepository


class ApiKeyService:
    """Reads and changes keys in a session; the caller commits.

    Everybody manages the keys of their own account; those of others need the scope users:manage.
    """

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._keys = ApiKeyRepository(session)
        self._users = UserRepository(session)
        self._clock = clock

    async def list(self, principal: Principal, user_id: int | None, before: int | None, limit: int) -> ApiKeyPage:
        """Return one page of an account's keys, newest first; `before` is the cursor of the previous page.

        Without `user_id`: the caller's own, or everybody's for who manages them.
        """
        owner = _reach(principal) if user_id is None else user_id
        if owner is not None and _reach(principal) not in (None, owner):
            raise NotFoundError(f"There is no user {owner}.")
        found = await self._keys.list(owner, before, limit + 1)
        page = found[:limit]
        return ApiKeyPage(items=page, next_cursor=str(page[-1].id) if len(found) > limit else None)

    async def add(self, principal: Principal, content: ApiKeyCreate) -> ApiKeyCreated:
        """Make a key. The answer alone has its secret.

        Raises:
            InvalidRequestError: the owner's role, or the caller's credential, lacks a scope, or it would never work.
            NotFoundError: the owner does not exist, or is somebody whose keys the caller does not manage.
        """
        maker = _account_of(principal)
        owner_id = content.user_id or maker
        if _reach(principal) not in (None, owner_id):
            raise NotFoundError(f"There is no user {owner_id}.")
        owner = await self._users.get(owner_id)
        self._check(principal, owner, content)
        token = make_token(TokenKind.API_KEY)
        row = ApiKeyRow(
            token_hash=token_hash(token),
            shown=shown_part(token),
            name=content.name,
            user_id=owner.id,
            created_by=maker,
            scopes=" ".join(content.scopes),
            created_at=self._clock(),
            expires_at=content.expires_at,
        )
        await self._keys.add(row)
        return ApiKeyCreated(api_key=to_api_key(row, owner.username), token=token)

    async def rotate(self, principal: Principal, key_id: int) -> ApiKeyCreated:
        """Make a key with the name, scopes and end of this one, which stops working.

        Raises:
            NotFoundError: there is no such key, or it is of somebody whose keys the caller does not manage.
            ConflictError: it was revoked.
            InvalidRequestError: the caller's credential lacks one of its scopes.
        """
        old = await self._keys.lock(key_id, _reach(principal))
        if old.revoked_at is not None:
            raise ConflictError("This key was revoked. Make a new one.")
        content = ApiKeyCreate(
            name=old.name,
            scopes=sorted(known_scopes(old.scopes.split())),
            expires_at=old.expires_at,
            user_id=old.user_id,
        )
        new = await self.add(principal, content)
        old.revoked_at = self._clock()
        return new

    async def revoke(self, principal: Principal, key_id: int) -> None:
        """End a key. Raises NotFoundError as `rotate` does; revoking it again changes nothing."""
        row = await self._keys.lock(key_id, _reach(principal))
        row.revoked_at = row.revoked_at or self._clock()

    def _check(self, principal: Principal, owner: UserRow, content: ApiKeyCreate) -> None:
        problems = []
        asked = set(content.scopes) - GIVEN_TO_KEYS
        if given := sorted(set(content.scopes) & GIVEN_TO_KEYS):
            problems += _problems_of_giving(principal, owner, given)
        if beyond := sorted(asked - SCOPES_OF[owner.role]):
            message = f"must be scopes of the owner's role, {owner.role}, which lacks {', '.join(beyond)}"
            problems.append(FieldProblem(field="scopes", message=message))
        # Else a key that may do little could make one that may do more.
        elif own := sorted(asked - principal.scopes):
            message = f"must be scopes of the credential that asks for the key, which lacks {', '.join(own)}"
            problems.append(FieldProblem(field="scopes", message=message))
        if content.expires_at is not None and content.expires_at <= self._clock():
            problems.append(FieldProblem(field="expires_at", message="must be in the future"))
        if owner.state is AccountState.DISABLED:
            problems.append(FieldProblem(field="user_id", message="must be an account that is not disabled"))
        if problems:
            raise InvalidRequestError("The request's body is invalid; see errors.", problems)


def _problems_of_giving(principal: Principal, owner: UserRow, scopes: list[Scope]) -> list[FieldProblem]:
    """Return what is wrong with giving a key scopes that are in no role."""
    names = ", ".join(scopes)
    if Scope.USERS_MANAGE not in principal.scopes:
        return [FieldProblem(field="scopes", message=f"must not contain {names}: only administrators can give it")]
    if owner.kind is not AccountKind.SERVICE:
        return [FieldProblem(field="scopes", message=f"must not contain {names}: it is for keys of service accounts")]
    return []


def _account_of(principal: Principal) -> int:
    if principal.user_id is None:
        raise NotFoundError("The platform's own services have no API keys.")
    return principal.user_id


def _reach(principal: Principal) -> int | None:
    """Return the account whose keys the caller manages; None for all."""
    return None if Scope.USERS_MANAGE in principal.scopes else _account_of(principal)
