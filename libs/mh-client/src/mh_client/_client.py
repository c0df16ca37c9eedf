"""Client and AsyncClient: the I/O. All decisions are in `_base`."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from mh_common.models import AnswerEvent

from mh_client._base import (
    Call,
    Destination,
    RetryPolicy,
    resolve_api_key,
    resolve_base_url,
    resolve_timeout,
    status_error,
    transport_error,
)
from mh_client._errors import MHError
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources.about import about
from mh_client.resources.account import change_password, me, roles, set_up
from mh_client.resources.answers import Turns, answer, answer_events, read_events, read_events_async
from mh_client.resources.api_keys import ApiKeys, AsyncApiKeys
from mh_client.resources.conversations import AsyncConversations, Conversations
from mh_client.resources.experiments import AsyncExperiments, Experiments
from mh_client.resources.history import AsyncHistory, History
from mh_client.resources.identifiers import AsyncIdentifiers, Identifiers
from mh_client.resources.identities import AsyncIdentities, Identities
from mh_client.resources.index import AsyncIndex, Index
from mh_client.resources.search import search, similar
from mh_client.resources.sessions import AsyncSessions, Sessions
from mh_client.resources.teams import AsyncTeams, Teams
from mh_client.resources.users import AsyncUsers, Users

T = TypeVar("T")


class _HTTPSender:
    def __init__(
        self,
        http: httpx.Client,
        destination: Destination,
        retries: RetryPolicy,
        sleep: Callable[[float], object],
    ) -> None:
        self._http = http
        self._destination = destination
        self._retries = retries
        self._sleep = sleep

    def send(self, call: Call[T]) -> T:
        return call.read(self._open(call, stream=False))

    def stream(self, call: Call[Any]) -> Generator[bytes]:
        response = self._open(call, stream=True)
        try:
            yield from response.iter_bytes()
        except httpx.RequestError as error:
            raise transport_error(error) from error
        finally:
            response.close()

    def _open(self, call: Call[Any], *, stream: bool) -> httpx.Response:
        failures = 0
        while True:
            try:
                return self._attempt(call, stream)
            except MHError as failure:
                failures += 1
                delay = self._retries.delay(call, failure, failures)
                if delay is None:
                    raise
            self._sleep(delay)

    def _attempt(self, call: Call[Any], stream: bool) -> httpx.Response:
        try:
            request = call.request(self._http, self._destination)
            response = self._http.send(request, stream=stream)
            if response.is_success:
                return response
            response.read()
        except httpx.RequestError as error:
            raise transport_error(error) from error
        raise status_error(call, response)


class _AsyncHTTPSender:
    def __init__(
        self,
        http: httpx.AsyncClient,
        destination: Destination,
        retries: RetryPolicy,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._http = http
        self._destination = destination
        self._retries = retries
        self._sleep = sleep

    async def send(self, call: Call[T]) -> T:
        return call.read(await self._open(call, stream=False))

    async def stream(self, call: Call[Any]) -> AsyncGenerator[bytes]:
        response = await self._open(call, stream=True)
        try:
            async for piece in response.aiter_bytes():
                yield piece
        except httpx.RequestError as error:
            raise transport_error(error) from error
        finally:
            await response.aclose()

    async def _open(self, call: Call[Any], *, stream: bool) -> httpx.Response:
        failures = 0
        while True:
            try:
                return await self._attempt(call, stream)
            except MHError as failure:
                failures += 1
                delay = self._retries.delay(call, failure, failures)
                if delay is None:
                    raise
            await self._sleep(delay)

    async def _attempt(self, call: Call[Any], stream: bool) -> httpx.Response:
        try:
            request = call.request(self._http, self._destination)
            response = await self._http.send(request, stream=stream)
            if response.is_success:
                return response
            await response.aread()
        except httpx.RequestError as error:
            raise transport_error(error) from error
        raise status_error(call, response)


class Client(Resource):
    """Client for the platform's API. It keeps connections open: use it as a context manager, or call `close`.

    Every method raises only `MHError`.

    Args:
        base_url: the gateway or a single service; default MH_URL, else http://127.0.0.1:8080.
        api_key: an API key, or the token of a session; default MH_API_KEY. An empty text: none, whatever MH_API_KEY is.
        timeout: seconds or httpx.Timeout for every call; default 5 s to connect, 30 s to read, 60 s for answers.
        max_retries: number of retries after the first attempt, where retrying is safe.
        transport: an httpx transport, for tests or special networks.
        http_client: your own httpx client, which this client does not close.
        sleep: called with the seconds to wait before a retry.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | httpx.Timeout | None = None,
        max_retries: int = 2,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.base_url = resolve_base_url(base_url)
        destination = Destination(self.base_url, resolve_timeout(timeout), resolve_api_key(api_key))
        http = http_client or httpx.Client(transport=transport)
        self._own_http = http if http_client is None else None
        super().__init__(_HTTPSender(http, destination, RetryPolicy(max_retries), sleep))
        self.conversations = Conversations(self._sender)
        self.index = Index(self._sender)
        self.experiments = Experiments(self._sender)
        self.history = History(self._sender)
        self.identifiers = Identifiers(self._sender)
        self.sessions = Sessions(self._sender)
        self.api_keys = ApiKeys(self._sender)
        self.users = Users(self._sender)
        self.identities = Identities(self._sender)
        self.teams = Teams(self._sender)

    search = sync_method(search)
    similar = sync_method(similar)
    answer = sync_method(answer)
    about = sync_method(about)
    me = sync_method(me)
    change_password = sync_method(change_password)
    roles = sync_method(roles)
    set_up = sync_method(set_up)

    def answer_stream(
        self,
        question: str,
        top_k: int = 3,
        conversation_history: Turns = (),
        user_id: str | None = None,
        show_sent: bool = False,
    ) -> Generator[AnswerEvent]:
        """Stream an answer: its sources, the parts of its text, token usage, and how it was generated.

        The arguments are those of `answer`.
        Closing the iterator or leaving the loop stops the language model. A stream cannot be resumed:
        APIConnectionError means that the answer is incomplete, APIStatusError says why the server stopped.
        """
        call = answer_events(question, top_k, conversation_history, user_id, show_sent)
        return read_events(self._sender.stream(call))

    def send(self, call: Call[T]) -> T:
        """Send a call that has no method of its own, and return its result. Raises MHError."""
        return self._sender.send(call)

    def close(self) -> None:
        """Close the connections."""
        if self._own_http is not None:
            self._own_http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(AsyncResource):
    """Asynchronous client for the platform's API, with the same methods as `Client`. Bound to one event loop."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | httpx.Timeout | None = None,
        max_retries: int = 2,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.base_url = resolve_base_url(base_url)
        destination = Destination(self.base_url, resolve_timeout(timeout), resolve_api_key(api_key))
        http = http_client or httpx.AsyncClient(transport=transport)
        self._own_http = http if http_client is None else None
        super().__init__(_AsyncHTTPSender(http, destination, RetryPolicy(max_retries), sleep))
        self.conversations = AsyncConversations(self._sender)
        self.index = AsyncIndex(self._sender)
        self.experiments = AsyncExperiments(self._sender)
        self.history = AsyncHistory(self._sender)
        self.identifiers = AsyncIdentifiers(self._sender)
        self.sessions = AsyncSessions(self._sender)
        self.api_keys = AsyncApiKeys(self._sender)
        self.users = AsyncUsers(self._sender)
        self.identities = AsyncIdentities(self._sender)
        self.teams = AsyncTeams(self._sender)

    search = async_method(search)
    similar = async_method(similar)
    answer = async_method(answer)
    about = async_method(about)
    me = async_method(me)
    change_password = async_method(change_password)
    roles = async_method(roles)
    set_up = async_method(set_up)

    def answer_stream(
        self,
        question: str,
        top_k: int = 3,
        conversation_history: Turns = (),
        user_id: str | None = None,
        show_sent: bool = False,
    ) -> AsyncGenerator[AnswerEvent]:
        """Stream an answer: its sources, the parts of its text, token usage, and how it was generated.

        The arguments are those of `answer`.
        Closing the iterator stops the language model: use `contextlib.aclosing` if the loop may be left early. A
        stream cannot be resumed: APIConnectionError means that the answer is incomplete, APIStatusError says why the
        server stopped.
        """
        call = answer_events(question, top_k, conversation_history, user_id, show_sent)
        return read_events_async(self._sender.stream(call))

    async def send(self, call: Call[T]) -> T:
        """Send a call that has no method of its own, and return its result. Raises MHError."""
        return await self._sender.send(call)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own_http is not None:
            await self._own_http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
