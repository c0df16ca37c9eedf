"""Linking accounts with who their owners are at an OpenID provider."""

from mh_common.errors import InvalidRequestError, NotFoundError
from mh_common.models import AccountKind, FieldProblem, Identity, IdentityCreate, IdentityPage

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.identities.repository import IdentityRepository, to_identity
from conversations_api.sessions.repository import UserSessionRepository
from conversations_api.users.repository import UserRepository


class IdentityService:
    """Links and unlinks in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._identities = IdentityRepository(session)
        self._users = UserRepository(session)
        self._sessions = UserSessionRepository(session)
        self._clock = clock

    async def list(self, user_id: int, after: int, limit: int) -> IdentityPage:
        """Return one page of an account's identities; `after` is the previous page's cursor. Raises NotFoundError."""
        await self._users.get(user_id)
        found = await self._identities.list(user_id, after, limit + 1)
        page = found[:limit]
        cursor = str(page[-1].id) if len(found) > limit else None
        return IdentityPage(items=[to_identity(row) for row in page], next_cursor=cursor)

    async def add(self, user_id: int, content: IdentityCreate, own_issuer: str | None) -> Identity:
        """Let a person sign in with an account; `own_issuer` is the platform's provider.

        Raises:
            NotFoundError: there is no such account.
            InvalidRequestError: it is a service account, or no issuer is given and the platform has no provider.
            ConflictError: somebody has this identity already.
        """
        issuer = content.issuer or own_issuer
        if issuer is None:
            raise _invalid("issuer", "must be given: this platform has no provider of its own (OIDC_ISSUER)")
        user = await self._users.lock(user_id)
        if user.kind is not AccountKind.PERSON:
            raise _invalid("user_id", "must be of a person: service accounts do not sign in")
        return to_identity(await self._identities.add(user_id, issuer, content.subject, self._clock()))

    async def delete(self, user_id: int, identity_id: int) -> None:
        """End that a person can sign in with an account, and the account's sessions. Raises NotFoundError."""
        if not await self._identities.delete(identity_id, user_id):
            raise NotFoundError(f"The user {user_id} has no identity {identity_id}.")
        await self._sessions.delete_of_user(user_id)


def _invalid(field: str, message: str) -> InvalidRequestError:
    problem = FieldProblem(field=field, message=message)
    return InvalidRequestError("The request's body is invalid; see errors.", [problem])
