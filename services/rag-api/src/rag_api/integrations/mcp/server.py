"""The MCP server at /mcp, whose tools call this application's own services."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from mcp.server import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mh_client import APIStatusError
from mh_client.mcp_server.server import build_server
from mh_common.auth.roles import Scope
from mh_common.models import Answer, AnswerRequest, Conversation, SearchFilters, SearchRequest, SearchResult
from mh_common.web.access import allow
from starlette import types

from rag_api.dependencies import Caller, state_of
from rag_api.integrations.links import conversation_link, public_url_of
from rag_api.integrations.mcp.caller import CALLER
from rag_api.problems import problem_of

T = TypeVar("T")


async def serve_exchange(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
    """Serve one exchange. The SDK's session ends with it, since no state is kept for the next exchange."""
    sessions = StreamableHTTPSessionManager(_server, stateless=True)
    async with sessions.run():
        await sessions.handle_request(scope, receive, send)


def _platform_of(context: ServerRequestContext[Any, Request]) -> "_LocalPlatform":
    assert context.request is not None
    return _LocalPlatform(context.request)


_server = build_server(_platform_of)


class _LocalPlatform:
    """This application's own services, called on behalf of one request; see `mh_client.mcp_server.tools.Platform`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._state = state_of(request)
        self._caller: Caller = getattr(request.state, CALLER)

    async def search(self, query: str, limit: int, filters: SearchFilters) -> SearchResult:
        request = SearchRequest(query=query, plain_query=True, limit=limit, **dict(filters))
        return await self._if_allowed(Scope.SEARCH, lambda: self._state.search.search(request))

    async def find(self, key: int) -> Conversation | None:
        return await self._if_allowed(Scope.CONVERSATIONS_READ, lambda: self._state.search.find(key))

    async def answer(self, question: str, top_k: int) -> Answer:
        request = AnswerRequest(question=question, top_k=top_k)

        async def ask() -> Answer:
            return await self._state.answers.answer(request, await self._caller.asks())

        return await self._if_allowed(Scope.ANSWERS, ask)

    def link(self, key: int) -> str:
        return conversation_link(public_url_of(self._request), key)

    async def _if_allowed(self, scope: Scope, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work` if the caller has the scope, and some left of its quota.

        Raise errors as the client library would raise the problem that other routes return.
        """
        try:
            await allow(self._request, scope)
            return await work()
        except Exception as error:  # any error, as other routes turn any error into a problem
            problem, headers = problem_of(self._request, error)
            wait = float(headers["Retry-After"]) if "Retry-After" in headers else None
            raise APIStatusError(problem.status, problem, problem.request_id, wait) from error
