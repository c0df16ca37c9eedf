"""An MCP server over streamable HTTP at /mcp. What its tools are stands in `mh_client.mcp_server`.

Stateless: each POST is a whole exchange that any process of any replica can serve, and there is no GET, whose stream of
events would stay open with nothing to say (ADR 35).
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from rag_api.answers.routes import CLIENT_GONE
from rag_api.dependencies import Doors, McpSessions
from rag_api.doors.keys import bearer_token, opens
from rag_api.mcp_sessions import LazySessions
from rag_api.settings import DoorsSettings

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

INVALID_REQUEST: Final = -32600
"""JSON-RPC's code."""

router = APIRouter(tags=["mcp"])


def load_sessions() -> "StreamableHTTPSessionManager":
    """Import the SDK and return what serves the exchanges while it runs."""
    from rag_api.doors.mcp_server import make_sessions

    return make_sessions()


@router.post(
    "/mcp",
    summary="Model Context Protocol",
    response_class=Response,
    responses={
        200: {"description": "A JSON-RPC response, or a stream of events that ends with it."},
        **{status: {"description": f"{HTTPStatus(status).phrase}, as a JSON-RPC error."} for status in (401, 403)},
    },
)
async def exchange(request: Request, doors: Doors, sessions: McpSessions) -> Response:
    """Serve the tools `search`, `fetch` and `ask` to MCP clients: one JSON-RPC message over streamable HTTP.

    Where DOORS_API_KEY is set it is asked for as bearer token. There is no session and no GET.
    """
    return _refusal(request, doors) or _Exchange(sessions)


class _Exchange(Response):
    """What the SDK answers to a request whose body nobody has read."""

    def __init__(self, sessions: LazySessions) -> None:
        super().__init__()
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await (await self._sessions.get()).handle_request(scope, receive, watched)
        if not begun:  # the client went
            await Response(status_code=CLIENT_GONE)(scope, receive, send)


def _refusal(request: Request, doors: DoorsSettings) -> JSONResponse | None:
    if not _from_known_page(request, doors):
        message = "Pages of this origin may not call here; DOORS_CORS_ORIGINS names those that may."
        return _error(403, message)
    if not opens(doors.api_key, bearer_token(request.headers.get("Authorization"))):
        message = "Send the platform's key: `Authorization: Bearer KEY`."
        return _error(401, message, {"WWW-Authenticate": "Bearer"})
    return None


def _from_known_page(request: Request, doors: DoorsSettings) -> bool:
    """Whether no page sent this, or one that may.

    Browsers say with each POST which page sends it. A page that made its name resolve to this server (DNS rebinding)
    gives itself away so, whatever names the server itself is reached by; programs send no Origin.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    own = urlsplit(doors.public_url) if doors.public_url else None
    known = doors.origins | ({f"{own.scheme}://{own.netloc}".lower()} if own else set())
    return "*" in known or origin in known


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error before there is a call that it could answer."""
    error = {"code": INVALID_REQUEST, "message": message}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status, headers)
