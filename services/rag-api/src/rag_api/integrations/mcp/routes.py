"""An MCP server over streamable HTTP at /mcp. What its tools are stands in `mh_client.mcp_server`.

Stateless: each POST is a whole exchange that any process of any replica can serve, and there is no GET, whose stream of
events would stay open with nothing to say (ADR 35).
"""

import asyncio
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_api.answers.routes import CLIENT_GONE
from rag_api.dependencies import State
from rag_api.integrations.authentication import bearer_token, is_admitted
from rag_api.settings import IntegrationSettings

INVALID_REQUEST: Final = -32600
"""JSON-RPC's code."""

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

    Where DOORS_API_KEY is set it is asked for as bearer token. There is no session and no GET.
    """
    return _refusal(request, state.integrations) or _Exchange()


class _Exchange(Response):
    """What the SDK answers to a request whose body nobody has read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        # In a thread, since other requests are served while it is loaded.
        serve_exchange = await asyncio.to_thread(_load)
        await serve_exchange(scope, receive, watched)
        if not begun:  # the client went
            await Response(status_code=CLIENT_GONE)(scope, receive, send)


def _load() -> ASGIApp:
    """Load the SDK with the first exchange: it takes 22 MB, and most processes never need it (ADR 44)."""
    from rag_api.integrations.mcp.server import serve_exchange

    return serve_exchange


def _refusal(request: Request, settings: IntegrationSettings) -> JSONResponse | None:
    if not _from_known_page(request, settings):
        message = "Pages of this origin may not call here; DOORS_CORS_ORIGINS names those that may."
        return _error(403, message)
    if not is_admitted(settings.api_key, bearer_token(request)):
        message = "Send the platform's key: `Authorization: Bearer KEY`."
        return _error(401, message, {"WWW-Authenticate": "Bearer"})
    return None


def _from_known_page(request: Request, settings: IntegrationSettings) -> bool:
    """Whether no page sent this, or one that may.

    Browsers say with each POST which page sends it. A page that made its name resolve to this server (DNS rebinding)
    gives itself away so, whatever names the server itself is reached by; programs send no Origin.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    own = urlsplit(settings.public_url) if settings.public_url else None
    known = settings.origins | ({f"{own.scheme}://{own.netloc}".lower()} if own else set())
    return "*" in known or origin in known


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error before there is a call that it could answer."""
    error = {"code": INVALID_REQUEST, "message": message}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status, headers)
