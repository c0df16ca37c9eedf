"""An MCP server over streamable HTTP at /mcp. Its tools are defined in `mh_client.mcp_server`.

Stateless: each POST is a complete exchange that any process of any replica can serve. There is no GET, whose event
stream would stay open without ever carrying an event (ADR 35).
"""

import asyncio
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from mh_common.errors import AuthenticationError, ForbiddenOriginError
from mh_common.models import Problem
from mh_common.web.access import SIGNED_IN
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_api.answers.routes import CLIENT_CLOSED_REQUEST
from rag_api.dependencies import CurrentCaller, State
from rag_api.integrations.error_formats import IntegrationRoute, one_line_message
from rag_api.integrations.links import public_url_of
from rag_api.integrations.mcp.caller import CALLER
from rag_api.integrations.mcp.metadata import SCOPES, metadata_url
from rag_api.settings import IntegrationSettings

INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603
"""JSON-RPC error codes."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: int
    message: str


class JSONRPCError(BaseModel):
    """A JSON-RPC error that answers no particular call."""

    jsonrpc: Literal["2.0"] = "2.0"
    id: None = None
    error: ErrorDetail


class MCPRoute(IntegrationRoute):
    """A route that returns errors as JSON-RPC errors, and says with a 401 where to read how to get in."""

    @staticmethod
    def error_body(problem: Problem) -> JSONRPCError:
        """See `IntegrationRoute.error_body`."""
        code = INVALID_REQUEST if problem.status < 500 else INTERNAL_ERROR
        return JSONRPCError(error=ErrorDetail(code=code, message=one_line_message(problem)))

    @classmethod
    def error_response(cls, request: Request, error: Exception) -> JSONResponse:
        """See `IntegrationRoute.error_response`."""
        response = super().error_response(request, error)
        if isinstance(error, AuthenticationError):
            metadata = metadata_url(public_url_of(request))
            scopes = " ".join(SCOPES)
            response.headers["WWW-Authenticate"] = f'Bearer resource_metadata="{metadata}", scope="{scopes}"'
        return response


router = APIRouter(tags=["mcp"], route_class=MCPRoute, dependencies=[SIGNED_IN])


@router.post(
    "/mcp",
    summary="Model Context Protocol",
    response_class=Response,
    responses={
        200: {"description": "A JSON-RPC response, or a stream of events that ends with it."},
        **{
            status: {"model": JSONRPCError, "description": f"{HTTPStatus(status).phrase}, as a JSON-RPC error."}
            for status in (401, 403, 503)
        },
    },
)
async def exchange(request: Request, state: State, caller: CurrentCaller) -> Response:
    """Serve the tools `search`, `fetch` and `ask` to MCP clients: one JSON-RPC message over streamable HTTP.

    Each tool needs its scope: `search`, `conversations:read` or `answers`. There are no sessions and there is no GET.
    """
    if not _is_allowed_origin(request, state.integrations):
        raise ForbiddenOriginError("This origin is not allowed. Add it to DOORS_CORS_ORIGINS.")
    setattr(request.state, CALLER, caller)
    return _Exchange()


class _Exchange(Response):
    """The SDK's response to a request whose body has not been read yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        # In a thread, so that other requests are served while the SDK is imported.
        serve_exchange = await asyncio.to_thread(_load_server)
        await serve_exchange(scope, receive, send_and_note)
        if not started:  # the client closed the connection
            await Response(status_code=CLIENT_CLOSED_REQUEST)(scope, receive, send)


def _load_server() -> ASGIApp:
    """Import the SDK on the first exchange: it takes 22 MB, and most processes never need it (ADR 44)."""
    from rag_api.integrations.mcp.server import serve_exchange

    return serve_exchange


def _is_allowed_origin(request: Request, settings: IntegrationSettings) -> bool:
    """Return whether the request comes from no web page, or from one of an allowed origin.

    Browsers send the page's origin with each POST, which also exposes DNS rebinding: a page whose host name resolves to
    this server. Other programs send no Origin header.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    own = urlsplit(settings.public_url) if settings.public_url else None
    allowed = settings.origins | ({f"{own.scheme}://{own.netloc}".lower()} if own else set())
    return "*" in allowed or origin in allowed
