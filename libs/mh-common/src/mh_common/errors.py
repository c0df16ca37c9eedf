"""Domain errors, independent of HTTP; `mh_common.web.problems` maps each to a status."""

from collections.abc import Mapping, Sequence
from typing import Any

from mh_common.models import FieldProblem


class DomainError(Exception):
    """Base of errors that the caller caused or can react to.

    The message is shown to users, so it contains no internals and no conversation text. `members` are extension members
    of the problem document (RFC 9457), by name.
    """

    members: Mapping[str, Any] = {}


class NotFoundError(DomainError):
    """The requested resource does not exist."""


class InvalidRequestError(DomainError):
    """The request's parameters are invalid; the member `errors` lists them."""

    def __init__(self, message: str, errors: list[FieldProblem] | None = None) -> None:
        super().__init__(message)
        if errors:
            self.members = {"errors": errors}


class VersionConflictError(DomainError):
    """The caller's version of the conversation is not the current one."""


class IdempotencyConflictError(DomainError):
    """A request with the same idempotency key is still being processed."""


class IdempotencyMismatchError(DomainError):
    """The idempotency key was already used for a different request."""


class LeaseConflictError(DomainError):
    """Another process holds the lease that the caller wants to take or extend."""


class FeatureDisabledError(DomainError):
    """The requested feature is disabled; the message names the setting."""


class AuthenticationError(DomainError):
    """The caller must say who it is: it sent no credential, or one that is unknown, expired or revoked."""


class PermissionDeniedError(DomainError):
    """The caller may not do this. `missing` are the scopes that it lacks; the member `missing_scopes` lists them."""

    def __init__(self, missing: Sequence[str], remedy: str) -> None:
        scopes = " and ".join(missing)
        super().__init__(f"This needs the scope {scopes}. {remedy}")
        self.members = {"missing_scopes": [str(scope) for scope in missing]}


class ForbiddenOriginError(DomainError):
    """A web page of another site sent a request with the browser's cookie."""


class TooManyAttemptsError(DomainError):
    """Too many attempts in a short time; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceededError(TooManyAttemptsError):
    """The caller has used up a quota; the member `quota` is its name. `retry_after` is in seconds.

    Args:
        quota: the quota's name.
        most: how much there is of it in a period.
        noun: what it counts, in words.
        period: minute, hour or day.
        retry_after: seconds until there is some again.
    """

    def __init__(self, quota: str, most: int, noun: str, period: str, retry_after: int) -> None:
        article = "an" if period == "hour" else "a"
        super().__init__(
            f"You have asked for {most:,} {noun} in {article} {period}, the quota {quota}. Try again in {retry_after} "
            f"second{'' if retry_after == 1 else 's'}; an administrator can raise it in RATE_LIMITS.",
            retry_after,
        )
        self.members = {"quota": quota}


class ConflictError(DomainError):
    """What the caller wants to add is there already, or what it wants to change is in use."""


class UnavailableError(DomainError):
    """A dependency is unavailable; the same request may succeed later. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
