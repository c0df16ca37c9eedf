"""Every error that the client raises. Catch `MHError` for all of them."""

from http import HTTPStatus

from mh_common.models import FieldProblem, Problem

_SHOWN_FIELDS = 3


class MHError(Exception):
    """Base of every error of this package. No message repeats the text of a conversation or a question."""


class InvalidInputError(MHError, ValueError):
    """What was passed in is not acceptable; nothing was sent. `errors` names each field."""

    def __init__(self, errors: list[FieldProblem]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return _fields(self.errors)


class ImportRefusedError(MHError):
    """The file, or the import as it was asked for, cannot be used at all."""


class EvaluationRefusedError(MHError):
    """The labelled queries, or the evaluation as it was asked for, cannot be used."""


class APIConnectionError(MHError):
    """The server could not be reached, or broke off. Whether it did the work is not known."""


class APITimeoutError(APIConnectionError):
    """The server did not answer in time. Whether it did the work is not known."""


class ResponseDecodeError(MHError):
    """The server answered with success, but not in the agreed shape: client and server differ in version."""


class APIStatusError(MHError):
    """The server refused: its status code, problem document (None where it sent none), request id, Retry-After (s)."""

    def __init__(
        self,
        status_code: int,
        problem: Problem | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        # All of it goes to Exception, which then pickles: a worker's error crosses processes.
        super().__init__(status_code, problem, request_id, retry_after)
        self.status_code = status_code
        self.problem = problem
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        text = f"{self.status_code} {_phrase(self.status_code)}"
        if self.problem is not None and self.problem.detail:
            text += f": {self.problem.detail}"
        if self.problem is not None and self.problem.errors:
            text += f" [{_fields(self.problem.errors)}]"
        return f"{text} (request id {self.request_id})" if self.request_id else text


class BadRequestError(APIStatusError):
    """400: a parameter does not make sense, or the body is not JSON."""


class NotFoundError(APIStatusError):
    """404: it does not exist."""


class ConflictError(APIStatusError):
    """409: a request with the same Idempotency-Key is in work, a run is with somebody else, or a setting forbids it."""


class PreconditionFailedError(APIStatusError):
    """412: the version given as `if_match` is not the present one."""


class UnprocessableError(APIStatusError):
    """422: the payload is not acceptable; `problem.errors` names each field."""


class RateLimitError(APIStatusError):
    """429: too many requests; `retry_after` says how long to wait."""


class ServerError(APIStatusError):
    """5xx: the fault is on the server's side; the same request may succeed later."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
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
