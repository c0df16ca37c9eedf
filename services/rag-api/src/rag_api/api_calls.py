"""Calls of the conversations API that the client library has no methods for, and what its errors mean for a caller."""

import math
from typing import Annotated, Final
from uuid import UUID

import httpx
import structlog
from mh_client import APIConnectionError, APIStatusError, APITimeoutError, Call, MHError
from mh_common.auth.roles import Role
from mh_common.errors import (
    AuthenticationError,
    DomainError,
    PermissionDeniedError,
    TooManyAttemptsError,
    UnavailableError,
)
from mh_common.models import (
    INTERNAL_HISTORY,
    USER_ID_HEADER,
    Feedback,
    FeedbackCreate,
    HistoryEntry,
    HistoryEntryCreate,
    Me,
    Problem,
)
from mh_common.retries import parse_retry_after
from pydantic import BeforeValidator, ValidationError

log = structlog.get_logger(__name__)

CONVERSATIONS_FAILED: Final = "conversations_api_failed"

REFUSED: Final = "This key or session is unknown, expired or revoked. Sign in again, or use another key."
"""If the conversations API does not say why it refuses a credential."""


class _Me(Me):
    """The caller, without a role of a later release: no route asks for roles."""

    role: Annotated[Role | None, BeforeValidator(lambda role: role if role in list(Role) else None)]


def record_answer(entry: HistoryEntryCreate) -> Call[HistoryEntry]:
    """Store an answer in the query history. Sending the same `answer_id` and content again has no effect."""
    return Call(
        method="POST",
        path=INTERNAL_HISTORY,
        content=entry.model_dump_json().encode(),
        parse=HistoryEntry.model_validate_json,
    )


def set_feedback(answer_id: UUID, feedback: FeedbackCreate, user_id: str | None) -> Call[Feedback]:
    """Store feedback on an answer, replacing earlier feedback."""
    return Call(
        method="PUT",
        path=f"{INTERNAL_HISTORY}/{answer_id}/feedback",
        content=feedback.model_dump_json(exclude_none=True).encode(),
        headers={} if user_id is None else {USER_ID_HEADER: user_id},
        parse=Feedback.model_validate_json,
    )


def who_sent(token: str) -> Call[Me]:
    """Ask whose credential this is, and what it may do."""
    return Call(
        method="GET", path="/api/v1/me", headers={"Authorization": f"Bearer {token}"}, parse=_Me.model_validate_json
    )


def check_readiness() -> Call[None]:
    """Ask whether the API and its database respond. Needs no credential, and transfers no text."""
    return Call(method="GET", path="/readyz", parse=lambda _: None)


def to_domain_error(error: MHError) -> DomainError:
    """Log the failed call, and return the error for the caller, on whose behalf it was made.

    Returns:
        AuthenticationError, PermissionDeniedError: the API refuses the caller's credential, which was revoked or lost a
            scope since it was checked here.
        UnavailableError: any other failure.
    """
    if refusal := refusal_of(error):
        return refusal
    log.warning(CONVERSATIONS_FAILED, error=type(error).__name__)
    if isinstance(error, APIStatusError):
        message = f"The conversations API, which holds the texts, answered {error.status_code}."
        return UnavailableError(message, math.ceil(error.retry_after or 5))
    if isinstance(error, APITimeoutError):
        reason = "did not answer in time"
    else:
        reason = "cannot be reached" if isinstance(error, APIConnectionError) else "sent an unreadable response"
    return UnavailableError(f"The conversations API, which holds the texts, {reason}.", retry_after=5)


def too_many(response: httpx.Response) -> TooManyAttemptsError:
    """Return the error for a caller to whom the API answered 429; the response has been read."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = None  # of a gateway
    message = (problem and problem.detail) or "There were too many requests of the conversations API for a moment."
    error = TooManyAttemptsError(message, math.ceil(parse_retry_after(response.headers.get("Retry-After")) or 1))
    if quota := ((problem and problem.model_extra) or {}).get("quota"):
        error.members = {"quota": str(quota)}
    return error


def refusal_of(error: MHError) -> AuthenticationError | PermissionDeniedError | None:
    """Return the error for a caller whose credential the API refuses; None if the call failed for another reason."""
    if not isinstance(error, APIStatusError):
        return None
    if error.status_code == 401:
        return AuthenticationError((error.problem and error.problem.detail) or REFUSED)
    missing = ((error.problem and error.problem.model_extra) or {}).get("missing_scopes")
    # Any other 403 is not about the caller.
    if error.status_code == 403 and isinstance(missing, list) and missing:
        return PermissionDeniedError([str(scope) for scope in missing], "Use a key or an account that has it.")
    return None
