"""The errors that the client raises. Catch `MHError` for all of them."""

from http import HTTPStatus

from mh_common.models import AnswerRisk, FieldProblem, Problem
from pydantic import ValidationError

_SHOWN_FIELDS = 3


class MHError(Exception):
    """Base of all errors of this package. Messages never contain the text of a conversation or question."""


class InvalidInputError(MHError, ValueError):
    """An argument is invalid; nothing was sent. `errors` lists each field."""

    def __init__(self, errors: list[FieldProblem]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return _fields(self.errors)


class ImportRefusedError(MHError):
    """The file or the options of an import cannot be used."""


class EvaluationRefusedError(MHError):
    """The labelled queries or the options of an evaluation cannot be used."""


class APIConnectionError(MHError):
    """The server is unreachable or dropped the connection. It may have processed the request."""


class APITimeoutError(APIConnectionError):
    """The server did not respond in time. It may have processed the request."""


class ResponseDecodeError(MHError):
    """A successful response in an unexpected format: client and server versions do not match."""


class APIStatusError(MHError):
    """The server returned an error: status code, problem document (if it sent one), request id, Retry-After (s)."""

    def __init__(
        self,
        status_code: int,
        problem: Problem | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        # Pass all arguments on, so that the error can be pickled: a worker's errors cross process boundaries.
        super().__init__(status_code, problem, request_id, retry_after)
        self.status_code = status_code
        self.problem = problem
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def noticed(self) -> AnswerRisk | None:
        """What was noticed in the question that the server could not answer; None if it says nothing of a risk."""
        members = (self.problem and self.problem.model_extra) or {}
        try:
            return AnswerRisk.model_validate(members) if members.get("risk_notice") else None
        except ValidationError:
            # Of a later release; the error itself must not be lost over it.
            return None

    def __str__(self) -> str:
        text = f"{self.status_code} {_phrase(self.status_code)}"
        if self.problem is not None and self.problem.detail:
            text += f": {self.problem.detail}"
        if self.problem is not None and self.problem.errors:
            text += f" [{_fields(self.problem.errors)}]"
        if remedy := self._remedy():
            text = f"{text.removesuffix('.')}. {remedy}"
        return f"{text} (request id {self.request_id})" if self.request_id else text

    def _remedy(self) -> str:
        """Return what the reader can do, without the last full stop; empty: the server says it."""
        return ""


class BadRequestError(APIStatusError):
    """400: a parameter is invalid, or the body is not JSON."""


class AuthenticationError(APIStatusError):
    """401: no API key was sent, or one that is unknown, expired or revoked; or the password to sign in with is wrong.

    `was_sent` says whether a key, or the token of a session, was sent; None for calls that need none, as signing in.
    """

    def __init__(
        self,
        status_code: int,
        problem: Problem | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        was_sent: bool | None = None,
    ) -> None:
        super().__init__(status_code, problem, request_id, retry_after)
        self.args = (*self.args, was_sent)
        self.was_sent = was_sent

    def _remedy(self) -> str:
        if self.was_sent is False:
            return "No API key was sent: set MH_API_KEY, or api_key= in Python; the command mh has `mh login`"
        told = self.problem is not None and self.problem.detail
        return "" if told or self.was_sent is None else "The API key or session that was sent is not valid here"


class PermissionDeniedError(APIStatusError):
    """403: the caller may not do this; `missing_scopes` are the scopes that it lacks."""

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """The scopes that the caller lacks; empty if the server names none, as a proxy before it."""
        named = ((self.problem and self.problem.model_extra) or {}).get("missing_scopes")
        return tuple(map(str, named)) if isinstance(named, list) else ()

    def _remedy(self) -> str:
        told = (self.problem and self.problem.detail) or ""
        if untold := [scope for scope in self.missing_scopes if scope not in told]:
            return f"Missing: {', '.join(untold)}. Use a key that has it, or ask an administrator"
        return ""


class NotFoundError(APIStatusError):
    """404: the resource does not exist."""


class ConflictError(APIStatusError):
    """409: it exists already, it is disabled, another worker has the run, or the same request is in progress."""


class PreconditionFailedError(APIStatusError):
    """412: the version passed as `if_match` is not the current one."""


class UnprocessableError(APIStatusError):
    """422: the body is invalid; `problem.errors` lists each field."""


class RateLimitError(APIStatusError):
    """429: too many requests; `retry_after` says how long to wait, and `quota` what there were too many of."""

    @property
    def quota(self) -> str | None:
        """The quota that is used up, such as `answers:minute`; None if the server names none, as for signing in."""
        named = ((self.problem and self.problem.model_extra) or {}).get("quota")
        return named if isinstance(named, str) else None


class ServerError(APIStatusError):
    """5xx: the server failed; the same request may succeed later."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionFailedError,
    422: UnprocessableError,
    429: RateLimitError,
}


def status_error_class(status_code: int) -> type[APIStatusError]:
    """Return the class of the error for this status."""
    if status_code >= 500:
        return ServerError
    return _BY_STATUS.get(status_code, APIStatusError)


def _phrase(status_code: int) -> str:
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "unknown status"


def _fields(errors: list[FieldProblem]) -> str:
    shown = "; ".join(f"{error.field or 'body'}: {error.message}" for error in errors[:_SHOWN_FIELDS])
    more = len(errors) - _SHOWN_FIELDS
    return f"{shown}; and {more} more" if more > 0 else shown
