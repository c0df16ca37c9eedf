"""What the tools of the MCP server at /mcp ask: this application's own services."""

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
    SearchRequest,
    SearchResult,
)

from rag_api.doors.links import base_url, conversation_link
from rag_api.doors.refusals import told_elsewhere

USER_ID: Final = "X-User-Id"

T = TypeVar("T")


def make_sessions() -> StreamableHTTPSessionManager:
    """Return what serves the exchanges while it runs."""
    return StreamableHTTPSessionManager(build_server(_platform_of), stateless=True)


def _platform_of(context: ServerRequestContext[Any, Request]) -> "_LocalPlatform":
    assert context.request is not None
    return _LocalPlatform(context.request)


class _LocalPlatform:
    """This application's own services, asked on behalf of one request; see `mh_client.mcp_server.tools.Platform`."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def search(self, query: str, limit: int) -> SearchResult:
        request = SearchRequest(query=query, plain_query=True, limit=limit)
        return await self._told(self._request.state.search.search(request))

    async def find(self, key: int) -> Conversation | None:
        return await self._told(self._request.state.search.find(key))

    async def answer(self, question: str, top_k: int) -> Answer:
        user = self._request.headers.get(USER_ID)
        if user is not None and not re.fullmatch(USER_ID_PATTERN, user):
            raise InvalidInputError([FieldProblem(field=USER_ID, message=f"the header must match {USER_ID_PATTERN}")])
        request = AnswerRequest(question=question, top_k=top_k)
        return await self._told(self._request.state.answers.answer(request, user))

    def link(self, key: int) -> str:
        return conversation_link(base_url(self._request, self._request.state.doors.public_url), key)

    async def _told(self, work: Awaitable[T]) -> T:
        """Let errors leave as they do from every route, where the client makes this of them."""
        try:
            return await work
        except Exception as error:  # whatever it is, the problem's handlers know it
            problem, wait = await told_elsewhere(self._request, error)
            raise APIStatusError(problem.status, problem, problem.request_id, float(wait) if wait else None) from error
