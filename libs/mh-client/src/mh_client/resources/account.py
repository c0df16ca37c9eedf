"""Who the caller is and may do, and the platform's first administrator."""

from functools import cache
from typing import Final

from mh_common.models import Me, PasswordChange, RoleScopes, Setup, User
from pydantic import TypeAdapter

from mh_client._base import Call, Retry, validated

PATH: Final = "/api/v1/me"


def me() -> Call[Me]:
    """Return who the platform takes the caller for, and what it may do with the key or session that it sent."""
    return Call(method="GET", path=PATH, parse=Me.model_validate_json)


def change_password(current_password: str, new_password: str) -> Call[None]:
    """Change the caller's own password (at least 12 characters), which ends its other sessions.

    Raises BadRequestError if the current password is wrong, and RateLimitError after too many attempts.
    """
    sent = validated(PasswordChange, {"current_password": current_password, "new_password": new_password})
    return Call(
        method="PUT",
        path=f"{PATH}/password",
        content=sent.model_dump_json().encode(),
        parse=lambda body: None,
        retry=Retry.IF_NOT_PROCESSED,
    )


def roles() -> Call[list[RoleScopes]]:
    """Return the roles, and what each may do."""
    return Call(method="GET", path="/api/v1/roles", parse=lambda body: _roles().validate_json(body))


def set_up(token: str, username: str, password: str, display_name: str | None = None) -> Call[User]:
    """Add the first administrator, with the setup token that the platform's first start printed.

    Raises AuthenticationError for another token, and ConflictError if it has accounts already or needs none.
    """
    given = {"token": token, "username": username, "password": password, "display_name": display_name}
    return Call(
        method="POST",
        path="/api/v1/setup",
        content=validated(Setup, given).model_dump_json(exclude_none=True).encode(),
        parse=User.model_validate_json,
        retry=Retry.IF_NOT_PROCESSED,
        needs_key=False,
    )


@cache
def _roles() -> TypeAdapter[list[RoleScopes]]:
    # Not at import, which it would slow down.
    return TypeAdapter(list[RoleScopes])
