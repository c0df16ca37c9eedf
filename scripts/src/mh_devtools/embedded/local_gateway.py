"""The embedded stack's gateway: both APIs behind one port, in one process.

Requests are routed to the APIs by path prefix, as in the nginx gateway. There is no proxying: the ASGI application is
called directly, so streaming, errors and client disconnects work unchanged.
"""

import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import conversations_api.main
import conversations_api.settings
import rag_api.main
import uvicorn
from conversations_api.preflight import prepare_accounts
from fastapi import FastAPI
from mh_common.logging import configure_logging
from mh_common.settings import LogSettings, ServiceSettings, load_settings
from mh_common.startup import run_or_exit
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mh_devtools.paths import ROOT

CONVERSATIONS = "conversations-api"
RAG = "rag-api"

ROUTES = {
    "/api/v1/conversations": CONVERSATIONS,
    "/api/v1/index": CONVERSATIONS,
    "/api/v1/experiments": CONVERSATIONS,
    "/api/v1/history": CONVERSATIONS,
    "/api/v1/setup": CONVERSATIONS,
    "/api/v1/sessions": CONVERSATIONS,
    "/api/v1/oidc": CONVERSATIONS,
    "/api/v1/me": CONVERSATIONS,
    "/api/v1/api-keys": CONVERSATIONS,
    "/api/v1/users": CONVERSATIONS,
    "/api/v1/teams": CONVERSATIONS,
    "/api/v1/roles": CONVERSATIONS,
    "/api/v1/search": RAG,
    "/api/v1/answers": RAG,
    "/api/v1/identifiers": RAG,
    "/api/v1/about": RAG,
    "/.well-known/oauth-protected-resource": RAG,
    "/api/chat": RAG,
    "/api/health": RAG,
    "/documents": RAG,
    "/healthcheck": RAG,
    "/livez": RAG,
    "/mcp": RAG,
    "/readyz": RAG,
    "/retrieval": RAG,
    "/search": RAG,
    "/search-simple": RAG,
    "/v1": RAG,
}
"""The API for each path prefix, matched in whole segments. In addition, /NAME/... is routed to NAME as /..."""
PRIVATE = ("/metrics", "/internal")
"""Paths that are not routed below /NAME: for Prometheus and for our own services."""

SIMILAR = re.compile("/api/v1/conversations/[0-9]+/similar")
"""The one path below /api/v1/conversations that rag-api serves."""

_FOLDER = ROOT / "infra" / "gateway" / "pages"
PAGES = {
    "/": _FOLDER / "index.html",
    "/docs": _FOLDER / "docs.html",
    "/pages/app.css": _FOLDER / "app.css",
    "/pages/app.js": _FOLDER / "app.js",
}
"""The static pages, as served by nginx, by path."""
POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
"""Content Security Policy of the counselor's page: it may load from and connect to the gateway only."""


class GatewaySettings(ServiceSettings):
    """Settings of the embedded gateway."""

    log: LogSettings = LogSettings()


def route_for(path: str) -> tuple[str, str] | None:
    """Return the API that serves `path`, and the prefix to remove; None if there is no route."""
    for name in (CONVERSATIONS, RAG):
        if _has_prefix(path, f"/{name}"):
            private = any(_has_prefix(path, f"/{name}{one}") for one in PRIVATE)
            return None if private else (name, f"/{name}")
    if SIMILAR.fullmatch(path):
        return RAG, ""
    for prefix, name in ROUTES.items():
        if _has_prefix(path, prefix):
            return name, ""
    return None


def _has_prefix(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


class Gateway:
    """ASGI application that passes each request to one of the APIs, with that API's own lifespan state.

    Args:
        apis: by name.
        services_port: port where our own services reach all of the conversations API, like nginx's second address.
    """

    def __init__(self, apis: dict[str, FastAPI], services_port: int) -> None:
        self._apis = apis
        self._services_port = services_port
        self._states: dict[str, dict[str, Any]] = {}
        self._pages = Starlette(
            routes=[Route(path, self._page) for path in PAGES],
            exception_handlers={404: self._not_found},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for name, api in self._apis.items():
                state = await stack.enter_async_context(api.router.lifespan_context(api))
                self._states[name] = dict(state or {})
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        target = self._target(scope) if scope["type"] == "http" else None
        if target is None:
            app: ASGIApp = self._pages
        else:
            name, prefix = target
            app = self._apis[name]
            scope = {**scope, "state": dict(self._states[name]), "root_path": scope.get("root_path", "") + prefix}
        await app(scope, receive, send)

    def _target(self, scope: Scope) -> tuple[str, str] | None:
        # The port of the listening socket, which nothing in the request can change.
        if scope["server"][1] == self._services_port:
            return CONVERSATIONS, ""
        return route_for(scope["path"])

    @staticmethod
    async def _page(request: Request) -> Response:
        path = request.url.path
        headers = {"X-Content-Type-Options": "nosniff"}
        return FileResponse(PAGES[path], headers=headers | ({"Content-Security-Policy": POLICY} if path == "/" else {}))

    @staticmethod
    async def _not_found(request: Request, _: Exception) -> Response:
        problem = {"type": "about:blank", "title": "Not Found", "status": 404, "instance": request.url.path}
        return JSONResponse(problem, 404, media_type="application/problem+json")


def create_app(services_port: int) -> Gateway:
    """Return both APIs as one application, with settings from the environment."""
    apis = {CONVERSATIONS: conversations_api.main.create_app(), RAG: rag_api.main.create_app()}
    configure_logging(GatewaySettings().log, "gateway")
    return Gateway(apis, services_port)


def main() -> None:
    """Serve them: `python -m mh_devtools.embedded.local_gateway PORT SERVICES_PORT`."""
    port, services_port = map(int, sys.argv[1:])
    run_or_exit(prepare_accounts(load_settings(conversations_api.settings.Settings)))
    config = uvicorn.Config(create_app(services_port), access_log=False, timeout_graceful_shutdown=10)
    uvicorn.Server(config).run([_listening(port), _listening(services_port)])


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


if __name__ == "__main__":
    main()
