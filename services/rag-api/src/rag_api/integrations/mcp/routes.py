"""An MCP server over streamable HTTP at /mcp. Its tools are defined in `mh_client.mcp_server`.

Stateless: each POST is a complete exchange that any process of any replica can serve. There is no GET, whose event
stream would stay open without ever carrying an event (ADR 35).
"""

import asyncio
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_api.answers.routes import CLIENT_CLOSED_REQUEST
from rag_api.dependencies import State
from rag_api.integrations.authentication import bearer_token, is_authorized
from rag_api.settings import IntegrationSettings

INVALID_REQUEST: Final = -32600
"""JSON-RPC error code."""

router = APIRouter(tags=["mcp"])


@router.post(
    "/mcp",
    summary="Model Context Protocol",
    response_class=Response,
    responses={
        200: {"description": "A JSON-RPC response, or a stream of events that ends with it."},
        **{status: {"description": f"{HTTPStatus(status).phrase}, as a JSON-RPC error."} for status in (401, 403)},
    },
)
async def exchange(request: Request, state: State) -> Response:
    """Serve the tools `search`, `fetch` and `ask` to MCP clients: one JSON-RPC message over streamable HTTP.

    If DOORS_API_KEY is set, it is required as bearer token. There are no sessions and there is no GET.
    """
    return _access_error(request, state.integrations) or _Exchange()


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


def _access_error(request: Request, settings: IntegrationSettings) -> JSONResponse | None:
    if not _is_allowed_origin(request, settings):
        message = "This origin is not allowed. Add it to DOORS_CORS_ORIGINS."
        return _error(403, message)
    if not is_authorized(settings.api_key, bearer_token(request)):
        message = "Send the platform's key: `Authorization: Bearer KEY`."
        return _error(401, message, {"WWW-Authenticate": "Bearer"})
    return None


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


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a JSON-RPC error that answers no particular call."""
    error = {"code": INVALID_REQUEST, "message": message}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status, headers)
