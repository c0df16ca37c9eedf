"""Domain errors. They know nothing of HTTP; `mh_common.web.problems` gives each its status."""

from collections.abc import Mapping
from typing import Any

from mh_common.models import FieldProblem


class DomainError(Exception):
    """Base of errors that a caller caused or can react to. The message is shown to users: no internals, no row's text.

    `members` holds what the error says beyond its message, by name; it becomes part of the problem document.
    """

    members: Mapping[str, Any] = {}


class NotFoundError(DomainError):
    """The thing asked for does not exist."""


class InvalidRequestError(DomainError):
    """The request's parameters do not make sense; the member `errors` names them."""

    def __init__(self, message: str, errors: list[FieldProblem] | None = None) -> None:
        super().__init__(message)
        if errors:
            self.members = {"errors": errors}


class VersionConflictError(DomainError):
    """The caller's version of the conversation is not the present one."""


class IdempotencyConflictError(DomainError):
    """A request with the same idempotency key is still in work."""


class IdempotencyMismatchError(DomainError):
    """The idempotency key was used before with another request."""


class LeaseConflictError(DomainError):
    """Somebody else holds what the caller wants to hold, or wants to go on holding."""


class TurnedOffError(DomainError):
    """A setting turned off what was asked for; the message names it."""


class UnavailableError(DomainError):
    """A dependency does not answer now; the same request may succeed later."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
