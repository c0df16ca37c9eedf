"""The application for all that stands under /v1."""

from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from mh_common.web.metrics import NO_TELEMETRY
from starlette.exceptions import HTTPException

import rag_api.integrations.openai.chat.routes
import rag_api.integrations.openai.model_list
import rag_api.integrations.openai.vector_stores.routes
from rag_api.integrations.openai.errors import OpenAIRoute, UnknownError

PREFIX: Final = "/v1"

router = APIRouter()
router.include_router(rag_api.integrations.openai.model_list.router)
router.include_router(rag_api.integrations.openai.chat.routes.router)
router.include_router(rag_api.integrations.openai.vector_stores.routes.router)

_others = APIRouter(route_class=OpenAIRoute)


@_others.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def unknown(request: Request) -> None:
    """Refuse what OpenAI's API has and this one has not, so that a client can tell its user."""
    raise UnknownError(f"There is no {request.method} {request.url.path} here.", None, "unknown_url")


def mount_openai(app: FastAPI) -> None:
    """Let `app` serve OpenAI's API under /v1, whatever the path or method, and list its routes in its document."""
    app.mount(PREFIX, _create_app())
    # Never reached, as the mount comes first: a FastAPI application documents its own routes, not those of a mount.
    app.include_router(router, prefix=PREFIX)


def _create_app() -> FastAPI:
    app = FastAPI(openapi_url=None, telemetry=NO_TELEMETRY)
    app.include_router(router)
    # The last, as it takes what is left.
    app.include_router(_others)
    app.add_exception_handler(HTTPException, _tell)
    return app


async def _tell(request: Request, error: Exception) -> Response:
    """Answer what no route sees: a method that none of them has."""
    return OpenAIRoute.error_response(request, error)
