"""The parts of a call without I/O: building requests, reading responses, deciding on retries."""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from importlib.metadata import version
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
from mh_common.models import FieldProblem, Problem, faults
from mh_common.retries import Backoff, parse_retry_after
from pydantic import BaseModel, ValidationError

from mh_client._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    InvalidInputError,
    MHError,
    ResponseDecodeError,
    status_error_class,
)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

VERSION: Final = version("mh-client")
DEFAULT_BASE_URL: Final = "http://127.0.0.1:8080"
CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 30.0
IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class Retry(Enum):
    """When a call may be retried."""

    IDEMPOTENT = auto()
    """Repeating it is harmless: retry even if the server may have processed it."""

    IF_NOT_PROCESSED = auto()
    """Each call has a cost: retry only if the server cannot have processed it."""


_RETRIED_STATUSES: Final = {
    Retry.IDEMPOTENT: frozenset({408, 429, 502, 503, 504}),
    Retry.IF_NOT_PROCESSED: frozenset({429, 503}),
}


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request to the API and how to parse its response."""

    method: str
    path: str
    parse: Callable[[bytes], T]
    params: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: Retry = Retry.IDEMPOTENT
    read_timeout: float = READ_TIMEOUT

    def request(
        self, http: httpx.Client | httpx.AsyncClient, base_url: str, timeout: httpx.Timeout | None
    ) -> httpx.Request:
        """Return the request to send; without `timeout` the call's own applies."""
        headers = {"User-Agent": f"mh-client/{VERSION}", "Accept": "application/json", **self.headers}
        if self.content is not None:
            headers["Content-Type"] = "application/json"
        return http.build_request(
            self.method,
            base_url + self.path,
            params=self.params or None,
            content=self.content,
            headers=headers,
            timeout=timeout or httpx.Timeout(self.read_timeout, connect=CONNECT_TIMEOUT),
        )

    def read(self, response: httpx.Response) -> T:
        """Parse a successful response. Raises ResponseDecodeError if it does not have the expected format."""
        try:
            return self.parse(response.content)
        except ValidationError as error:
            places = sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)})
            raise ResponseDecodeError(
                f"{self.method} {self.path} returned {response.status_code} in a format that this version of "
                f"mh-client ({VERSION}) does not understand; unexpected: {', '.join(places[:3]) or 'the whole body'}"
            ) from None


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter, never shorter than the server's Retry-After. Delays are in seconds."""

    max_retries: int = 2
    base_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0
    jitter: Callable[[], float] = random.random

    def delay(self, call: Call[T], failure: MHError, failures: int) -> float | None:
        """Return the seconds to wait after this many failures of the call (from 1); None: give up."""
        if failures > self.max_retries or not may_retry(call, failure):
            return None
        asked = failure.retry_after if isinstance(failure, APIStatusError) else None
        if asked is not None and asked > self.max_retry_after:
            return None
        return Backoff(self.base_delay, self.max_delay, self.jitter).wait(failures, asked)


def may_retry(call: Call[T], failure: MHError) -> bool:
    """Return whether retrying this call after this failure is safe and can help."""
    if isinstance(failure, APIStatusError):
        in_progress = failure.status_code == 409 and IDEMPOTENCY_KEY in call.headers
        return in_progress or failure.status_code in _RETRIED_STATUSES[call.retry]
    if not isinstance(failure, APIConnectionError):
        return False
    return call.retry is Retry.IDEMPOTENT or isinstance(
        failure.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )


def transport_error(error: httpx.RequestError) -> MHError:
    """Convert an httpx error; the original becomes the cause."""
    url = error.request.url
    # Without the query string, which may contain a search query, and without a password.
    target = f"{error.request.method} {url.scheme}://{url.netloc.decode()}{url.path}"
    failure: MHError
    if isinstance(error, httpx.TimeoutException):
        failure = APITimeoutError(f"{target} timed out ({type(error).__name__})")
    elif isinstance(error, httpx.DecodingError):
        failure = ResponseDecodeError(f"{target} returned content that cannot be decompressed")
    else:
        failure = APIConnectionError(f"{target} failed ({type(error).__name__}: {error})")
    failure.__cause__ = error
    return failure


def status_error(response: httpx.Response) -> APIStatusError:
    """Return the error for an unsuccessful response, whose body must have been read."""
    problem: Problem | None
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = None  # not from the platform, such as a proxy's HTML page
    request_id = response.headers.get("X-Request-ID") or (problem.request_id if problem else None)
    return status_error_class(response.status_code)(
        response.status_code, problem, request_id, parse_retry_after(response.headers.get("Retry-After"))
    )


def resolve_base_url(base_url: str | None) -> str:
    """Return the base URL without a trailing slash: the argument, else MH_URL, else the default."""
    url = (base_url or os.environ.get("MH_URL") or DEFAULT_BASE_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInputError([FieldProblem(field="base_url", message="must look like http://host:8080")])
    return url


def resolve_timeout(timeout: float | httpx.Timeout | None) -> httpx.Timeout | None:
    """Return the timeouts that the user set; None: each call's own."""
    return httpx.Timeout(timeout) if isinstance(timeout, int | float) else timeout


def validated(model: type[M], values: Mapping[str, object]) -> M:
    """Validate the values. Raises InvalidInputError, which names the fields without their values."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(field_problems(error)) from None


def field_problems(error: ValidationError) -> list[FieldProblem]:
    """Convert pydantic's errors, without the input."""
    return faults.field_problems(error.errors(include_input=False, include_url=False, include_context=False))
