"""Everything about a call that needs no I/O: what to send, what an answer means, when to try again."""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from importlib.metadata import version
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
from mh_common.models import FieldProblem, Problem
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
    """When a call may be sent again."""

    WHEN_LOST = auto()
    """Sending it twice does no more than once: after any lost answer too."""

    WHEN_NOT_STARTED = auto()
    """It costs something each time: only when the server certainly did no work."""


_STATUSES: Final = {
    Retry.WHEN_LOST: frozenset({408, 429, 502, 503, 504}),
    Retry.WHEN_NOT_STARTED: frozenset({429, 503}),
}


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request to the API and how to read its answer."""

    method: str
    path: str
    parse: Callable[[bytes], T]
    params: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: Retry = Retry.WHEN_LOST
    read_timeout: float = READ_TIMEOUT

    def request(
        self, http: httpx.Client | httpx.AsyncClient, base_url: str, timeout: httpx.Timeout | None
    ) -> httpx.Request:
        """Return the request to send; `timeout` of None is the call's own."""
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
        """Return what a successful response says. Raises ResponseDecodeError when it is not in the agreed shape."""
        try:
            return self.parse(response.content)
        except ValidationError as error:
            places = sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)})
            raise ResponseDecodeError(
                f"{self.method} {self.path} answered {response.status_code} in a shape that this version of "
                f"mh-client ({VERSION}) does not know; look at: {', '.join(places[:3]) or 'the whole body'}"
            ) from None


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to wait: exponential with full jitter, but never less than the server's Retry-After."""

    max_retries: int = 2
    base_delay: float = 0.5
    longest_delay: float = 8.0
    longest_retry_after: float = 60.0
    jitter: Callable[[], float] = random.random

    def delay(self, call: Call[T], failure: MHError, failures: int) -> float | None:
        """Return the seconds to wait after so many failures of this call; None: give up."""
        if failures > self.max_retries or not may_retry(call, failure):
            return None
        asked = failure.retry_after if isinstance(failure, APIStatusError) else None
        if asked is not None and asked > self.longest_retry_after:
            return None
        return Backoff(self.base_delay, self.longest_delay, self.jitter).wait(failures, asked)


def may_retry(call: Call[T], failure: MHError) -> bool:
    """Say whether sending this call again after this failure is both safe and of use."""
    if isinstance(failure, APIStatusError):
        still_in_work = failure.status_code == 409 and IDEMPOTENCY_KEY in call.headers
        return still_in_work or failure.status_code in _STATUSES[call.retry]
    if not isinstance(failure, APIConnectionError):
        return False
    return call.retry is Retry.WHEN_LOST or isinstance(
        failure.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    )


def transport_error(error: httpx.RequestError) -> MHError:
    """Translate an error of httpx; the original stays its cause."""
    url = error.request.url
    # Without the query, which may hold what somebody searches for, and without a password.
    target = f"{error.request.method} {url.scheme}://{url.netloc.decode()}{url.path}"
    failure: MHError
    if isinstance(error, httpx.TimeoutException):
        failure = APITimeoutError(f"{target} did not answer in time ({type(error).__name__})")
    elif isinstance(error, httpx.DecodingError):
        failure = ResponseDecodeError(f"{target} answered with content that cannot be decompressed")
    else:
        failure = APIConnectionError(f"{target} could not be reached ({type(error).__name__}: {error})")
    failure.__cause__ = error
    return failure


def status_error(response: httpx.Response) -> APIStatusError:
    """Translate a response that is not a success. Its body must have been read."""
    problem: Problem | None
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = None  # not one of ours: a proxy's HTML page, say
    request_id = response.headers.get("X-Request-ID") or (problem.request_id if problem else None)
    return status_error_class(response.status_code)(
        response.status_code, problem, request_id, parse_retry_after(response.headers.get("Retry-After"))
    )


def resolve_base_url(base_url: str | None) -> str:
    """Return the address to send to, without a slash at its end: the one given, else MH_URL, else this machine."""
    url = (base_url or os.environ.get("MH_URL") or DEFAULT_BASE_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInputError([FieldProblem(field="base_url", message="must look like http://host:8080")])
    return url


def resolve_timeout(timeout: float | httpx.Timeout | None) -> httpx.Timeout | None:
    """Return the time limits that the user asked for; None: each call's own."""
    return httpx.Timeout(timeout) if isinstance(timeout, int | float) else timeout


def validated(model: type[M], values: Mapping[str, object]) -> M:
    """Return the model made of these values. Raises InvalidInputError, which names fields but repeats no text."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(field_problems(error)) from None


def field_problems(error: ValidationError) -> list[FieldProblem]:
    """Name what pydantic found wrong, without the input."""
    return [
        FieldProblem(
            field=".".join(map(str, fault["loc"])),
            message=fault["msg"].removeprefix("Value error, "),
            row=next((part for part in fault["loc"] if isinstance(part, int)), None),
        )
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]
