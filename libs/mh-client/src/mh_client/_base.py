"""The parts of a call without I/O: building requests, reading responses, deciding on retries."""

import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from importlib.metadata import version
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

import httpx
from mh_common.models import FieldProblem, Problem, faults
from mh_common.retries import Backoff, parse_retry_after
from pydantic import BaseModel, SecretStr, ValidationError

from mh_client._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
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
API_KEY_VARIABLE: Final = "MH_API_KEY"
_AUTHORIZATION: Final = "Authorization"
_KEY_FORM: Final = re.compile(r"[\x21-\x7e]+")


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


@dataclass(frozen=True)
class Destination:
    """Where a client sends its calls: base URL, timeouts (None: each call's own), and the API key it sends with them.

    Raises InvalidInputError if there is a key and the URL has a user name.
    """

    base_url: str
    timeout: httpx.Timeout | None = None
    api_key: SecretStr | None = None

    def __post_init__(self) -> None:
        if self.api_key is not None:
            refuse_user_name(self.base_url)


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request to the API and how to parse its response."""

    method: str
    path: str
    parse: Callable[[bytes], T]
    params: tuple[tuple[str, str], ...] = ()
    # It may be a patient's words, or a password.
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: Retry = Retry.IDEMPOTENT
    read_timeout: float = READ_TIMEOUT
    needs_key: bool = True
    """Whether the client's API key is sent; signing in needs none."""

    def request(self, http: httpx.Client | httpx.AsyncClient, to: Destination) -> httpx.Request:
        """Return the request to send."""
        headers = {"User-Agent": f"mh-client/{VERSION}", "Accept": "application/json", **self.headers}
        if self.needs_key and to.api_key is not None and _AUTHORIZATION not in self.headers:
            headers[_AUTHORIZATION] = f"Bearer {to.api_key.get_secret_value()}"
        if self.content is not None:
            headers["Content-Type"] = "application/json"
        return http.build_request(
            self.method,
            to.base_url + self.path,
            params=self.params or None,
            content=self.content,
            headers=headers,
            timeout=to.timeout or httpx.Timeout(self.read_timeout, connect=CONNECT_TIMEOUT),
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


def status_error(call: Call[Any], response: httpx.Response) -> APIStatusError:
    """Return the error for an unsuccessful response to a call, whose body must have been read."""
    problem: Problem | None
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = None  # not from the platform, such as a proxy's HTML page
    request_id = response.headers.get("X-Request-ID") or (problem.request_id if problem else None)
    kind = status_error_class(response.status_code)
    retry_after = parse_retry_after(response.headers.get("Retry-After"))
    if kind is AuthenticationError:
        was_sent = _AUTHORIZATION in response.request.headers if call.needs_key else None
        return AuthenticationError(response.status_code, problem, request_id, retry_after, was_sent)
    return kind(response.status_code, problem, request_id, retry_after)


def resolve_base_url(base_url: str | None) -> str:
    """Return the base URL without a trailing slash: the argument, else MH_URL, else the default."""
    url = (base_url or os.environ.get("MH_URL") or DEFAULT_BASE_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInputError([FieldProblem(field="base_url", message="must look like http://host:8080")])
    return url


def refuse_user_name(base_url: str) -> None:
    """Raise InvalidInputError if the URL has a user name, which is sent in the same header as an API key."""
    if urlsplit(base_url).username is not None:
        message = "must have no user name if there is an API key or session: a request can send only one of them"
        raise InvalidInputError([FieldProblem(field="base_url", message=message)])


def resolve_api_key(api_key: str | None) -> SecretStr | None:
    """Return the API key to send: the argument, else MH_API_KEY, else None; none for an empty argument.

    Raises InvalidInputError, which does not repeat it, if it cannot be sent.
    """
    if api_key is not None:
        return checked_key(api_key, "api_key") if api_key else None
    from_environment = os.environ.get(API_KEY_VARIABLE)
    return checked_key(from_environment, API_KEY_VARIABLE) if from_environment else None


def checked_key(key: str, name: str) -> SecretStr:
    """Return a key that can be sent. Raises InvalidInputError, which names it by `name`."""
    if not _KEY_FORM.fullmatch(key):
        message = (
            "must be one word of visible ASCII characters, without spaces or line breaks; was it copied completely?"
        )
        raise InvalidInputError([FieldProblem(field=name, message=message)])
    return SecretStr(key)


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


def if_match_header(given: int | str | None) -> dict[str, str]:
    """Return the header that makes a change conditional on a version or ETag; none for None."""
    if given is None:
        return {}
    return {"If-Match": f'"{given}"' if isinstance(given, int) else given}
