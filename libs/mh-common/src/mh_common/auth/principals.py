"""The caller of a request."""

from dataclasses import dataclass
from typing import Final

from mh_common.auth.roles import Role, Scope
from mh_common.errors import PermissionDeniedError
from mh_common.models import CredentialKind, PrincipalKind


@dataclass(frozen=True)
class Principal:
    """The caller of a request, and what it may do.

    Attributes:
        username: unique; logs name it.
        kind: person, service or local.
        scopes: what this caller may do with the credential that it sent.
        role: None for the platform's own services and for LOCAL.
        user_id: id of the account; None where there is none.
        credential: how it proved who it is; None for LOCAL.
        credential_id: id of the session or key; None for the platform's own services and LOCAL.
    """

    username: str
    kind: PrincipalKind
    scopes: frozenset[Scope]
    role: Role | None = None
    user_id: int | None = None
    credential: CredentialKind | None = None
    credential_id: int | None = None

    def require(self, *scopes: Scope) -> None:
        """Raise PermissionDeniedError, which names the missing scopes, unless the caller has all of these."""
        if missing := [scope for scope in scopes if scope not in self.scopes]:
            raise PermissionDeniedError(missing, self._remedy(missing))

    def _remedy(self, missing: list[Scope]) -> str:
        if Scope.INTERNAL in missing:
            return "It is for the platform's own services."
        if self.credential is CredentialKind.API_KEY:
            return "Use a key that has it; a key has at most the scopes of its owner's role."
        return f"Your role, {self.role}, does not have it; ask an administrator."


LOCAL: Final = Principal(username="local", kind=PrincipalKind.LOCAL, scopes=frozenset(Scope))
"""Every caller of a platform without accounts (AUTH_MODE=open): it may do everything."""
