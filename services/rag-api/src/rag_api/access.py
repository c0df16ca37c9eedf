"""Who calls: the conversations API knows the accounts and keys, and its answers are kept for a short time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import httpx
from mh_client import AsyncClient, MHError
from mh_common.auth.principals import Principal
from mh_common.auth.roles import known_scopes
from mh_common.auth.tokens import kind_of, token_hash
from mh_common.errors import AuthenticationError, UnavailableError
from mh_common.models import Me, PrincipalKind
from mh_common.web.access import forwarded_credential

from rag_api.api_calls import to_domain_error, too_many, who_sent

KEPT_S: Final = 30.0
"""Seconds for which a caller is known. So long a revoked key gets in, but is shown no text: each is read with it."""
REFUSAL_KEPT_S: Final = 1.0
"""Seconds for which a credential is refused without asking again."""
MAX_KEPT: Final = 4096
"""Callers, and as many refusals, that are kept at a time."""

NO_TOKEN: Final = "This is no key of this platform, or it was not copied completely."  # noqa: S105 - no secret
NOT_CHECKED: Final = "Your key or session cannot be checked now."
OPEN_API: Final = (
    "conversations-api runs with AUTH_MODE=open and knows no accounts, but rag-api with AUTH_MODE=required. All "
    "services need the same."
)

T = TypeVar("T")


class RemoteAuthenticator:
    """Asks the conversations API who sent a token; see `mh_common.web.access.Authenticator`.

    Concurrent requests with the same token ask once. While the API is down, only the callers that are kept get in.

    Args:
        conversations: the API.
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, conversations: AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._conversations = conversations
        self._known: _Kept[Principal] = _Kept(clock)
        self._refused: _Kept[str] = _Kept(clock)
        self._asking: dict[bytes, asyncio.Task[Me]] = {}

    async def authenticate(self, token: str) -> Principal:
        """See `Authenticator.authenticate`."""
        if kind_of(token) is None:
            raise AuthenticationError(NO_TOKEN)
        key = token_hash(token)
        if (principal := self._known.find(key)) is not None:
            return principal
        if (reason := self._refused.find(key)) is not None:
            raise AuthenticationError(reason)
        try:
            # The others that wait for it must not be cancelled with this request.
            me = await asyncio.shield(self._ask(key, token))
        except MHError as error:
            failure = to_domain_error(error)
            if isinstance(failure, AuthenticationError):
                self._refused.keep(key, str(failure), REFUSAL_KEPT_S)
            elif isinstance(failure, UnavailableError):
                failure = UnavailableError(f"{NOT_CHECKED} {failure}", failure.retry_after)
            raise failure from error
        principal = _principal(me)
        self._known.keep(key, principal, KEPT_S)
        return principal

    def forget(self, token: str) -> None:
        """Ask again when this token is next sent."""
        self._known.drop(token_hash(token))

    async def forget_refused(self, response: httpx.Response) -> None:
        """Forget a token that the API has just refused: an httpx "response" hook."""
        scheme, _, token = response.request.headers.get("Authorization", "").partition(" ")
        if response.status_code == httpx.codes.UNAUTHORIZED and scheme == "Bearer":
            self.forget(token)

    def _ask(self, key: bytes, token: str) -> asyncio.Task[Me]:
        if (task := self._asking.get(key)) is None:
            task = self._asking[key] = asyncio.create_task(self._conversations.send(who_sent(token)))
            task.add_done_callback(lambda done: self._asked(key, done))
        return task

    def _asked(self, key: bytes, task: asyncio.Task[Me]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # every request that waited may have been cancelled: then nobody else looks at it


async def forward_credential(request: httpx.Request) -> None:
    """Send the caller's credential along, unless the request has one: an httpx "request" hook."""
    if "Authorization" not in request.headers:
        request.headers.update(forwarded_credential())


async def refuse_too_many(response: httpx.Response) -> None:
    """Tell the caller that a quota of the API is used up, instead of waiting for more: an httpx "response" hook.

    Raises:
        TooManyAttemptsError: the API refused the call with 429.
    """
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        await response.aread()
        raise too_many(response)


class _Kept(Generic[T]):
    """Values by the hash of a token, each for a limited time. When there are too many, the oldest is dropped."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._values: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def find(self, key: bytes) -> T | None:
        until, value = self._values.get(key, (0.0, None))
        if value is not None and until <= self._clock():
            del self._values[key]
            return None
        return value

    def keep(self, key: bytes, value: T, seconds: float) -> None:
        self.drop(key)
        if len(self._values) == MAX_KEPT:
            self._values.popitem(last=False)
        self._values[key] = (self._clock() + seconds, value)

    def drop(self, key: bytes) -> None:
        self._values.pop(key, None)


def _principal(me: Me) -> Principal:
    if me.kind is PrincipalKind.LOCAL:
        raise UnavailableError(OPEN_API, retry_after=60)
    return Principal(
        username=me.username,
        kind=me.kind,
        scopes=known_scopes(me.scopes),
        role=me.role,
        user_id=me.id,
        credential=None if me.credential is None else me.credential.kind,
        credential_id=None if me.credential is None else me.credential.id,
    )
