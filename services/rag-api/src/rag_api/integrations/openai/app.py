"""The application mounted at /v1."""

from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from mh_common.web.access import SIGNED_IN
from mh_common.web.metrics import NO_TELEMETRY
from starlette.exceptions import HTTPException

import rag_api.integrations.openai.chat.routes
import rag_api.integrations.openai.model_list
import rag_api.integrations.openai.vector_stores.routes
from rag_api.integrations.openai.errors import OpenAIRoute, UnknownResourceError

PREFIX: Final = "/v1"

router = APIRouter()
router.include_router(rag_api.integrations.openai.model_list.router)
router.include_router(rag_api.integrations.openai.chat.routes.router)
router.include_router(rag_api.integrations.openai.vector_stores.routes.router)

_unknown_router = APIRouter(route_class=OpenAIRoute, dependencies=[SIGNED_IN])


@_unknown_router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def unknown(request: Request) -> None:
    """Return OpenAI's error for routes that do not exist here, so that clients can show it to their users."""
    raise UnknownResourceError(f"{request.method} {request.url.path} is not supported.", None, "unknown_url")


def mount_openai(app: FastAPI) -> None:
    """Mount the OpenAI-compatible API at /v1, for all paths and methods, and add its routes to the OpenAPI document."""
    app.mount(PREFIX, _create_app())
    # For the OpenAPI document, which omits the routes of a mount; requests never get here, as the mount comes first.
    app.include_router(router, prefix=PREFIX)


def _create_app() -> FastAPI:
    app = FastAPI(openapi_url=None, telemetry=NO_TELEMETRY)
    app.include_router(router)
    # Last, because it matches every path.
    app.include_router(_unknown_router)
    app.add_exception_handler(HTTPException, _error_response)
    return app


async def _error_response(request: Request, error: Exception) -> Response:
    """Handle errors raised outside the routes, such as an unsupported method."""
    return OpenAIRoute.error_response(request, error)
