"""Who changes conversations, and what is kept of what they were."""

from dataclasses import dataclass
from typing import Final, Self

from mh_common.auth.principals import Principal
from mh_common.fields import Origin
from mh_common.models import CredentialKind


@dataclass(frozen=True)
class Editor:
    """Who makes the changes of a request.

    Attributes:
        user_id: id of the account; None where there are none.
        origin: of the conversations that it adds one by one.
        keeps_versions: whether what it changes leaves an earlier version.
    """

    user_id: int | None = None
    origin: Origin = Origin.API
    keeps_versions: bool = True

    @classmethod
    def of(cls, principal: Principal, *, keeps_versions: bool) -> Self:
        """Return the editor that a caller is: a person if it has signed in, otherwise a program."""
        is_person = principal.credential is CredentialKind.SESSION
        return cls(principal.user_id, Origin.PERSON if is_person else Origin.API, keeps_versions)


NOBODY: Final = Editor()
"""The editor of a request that only reads."""
