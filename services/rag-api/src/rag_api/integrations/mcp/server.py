"""The MCP server at /mcp, whose tools call this application's own services."""

import re
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from fastapi import Request
from mcp.server import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mh_client import APIStatusError, InvalidInputError
from mh_client.mcp_server.server import build_server
from mh_common.models import (
    USER_ID_PATTERN,
    Answer,
    AnswerRequest,
    Conversation,
    FieldProblem,
    SearchFilters,
    SearchRequest,
    SearchResult,
)
from starlette.types import Receive, Scope, Send

from rag_api.dependencies import state_of
from rag_api.integrations.links import conversation_link, public_url_of
from rag_api.problems import problem_of

USER_ID: Final = "X-User-Id"

T = TypeVar("T")


async def serve_exchange(scope: Scope, receive: Receive, send: Send) -> None:
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

    async def search(self, query: str, limit: int, filters: SearchFilters) -> SearchResult:
        request = SearchRequest(query=query, plain_query=True, limit=limit, **dict(filters))
        return await self._as_api_error(self._state.search.search(request))

    async def find(self, key: int) -> Conversation | None:
        return await self._as_api_error(self._state.search.find(key))

    async def answer(self, question: str, top_k: int) -> Answer:
        user = self._request.headers.get(USER_ID)
        if user is not None and not re.fullmatch(USER_ID_PATTERN, user):
            raise InvalidInputError([FieldProblem(field=USER_ID, message=f"the header must match {USER_ID_PATTERN}")])
        request = AnswerRequest(question=question, top_k=top_k)
        return await self._as_api_error(self._state.answers.answer(request, user))

    def link(self, key: int) -> str:
        return conversation_link(public_url_of(self._request), key)

    async def _as_api_error(self, work: Awaitable[T]) -> T:
        """Await `work`; raise its errors as the client library would raise the problem that other routes return."""
        try:
            return await work
        except Exception as error:  # any error, as other routes turn any error into a problem
            problem, headers = problem_of(self._request, error)
            wait = float(headers["Retry-After"]) if "Retry-After" in headers else None
            raise APIStatusError(problem.status, problem, problem.request_id, wait) from error
