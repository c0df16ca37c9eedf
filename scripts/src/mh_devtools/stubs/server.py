"""Helpers of the stubs: serving an application during a block, and responses in the format of our APIs."""

import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import uvicorn
from mh_common.models import FieldProblem, Problem
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp


@contextmanager
def serving(app: ASGIApp, *, lifespan: bool = False) -> Iterator[str]:
    """Serve on a free loopback port, in a thread, during the block.

    Args:
        app: the application to serve.
        lifespan: whether it has lifespan events (start-up and shutdown).

    Yields:
        The server's URL without a trailing slash, such as `http://127.0.0.1:49152`.

    Raises:
        RuntimeError: the server did not start; its cause says why.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1, "stub") as thread:
        # asyncio sets this only on sockets it created; without it a response can wait 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without a log_config, uvicorn does not change the logging of the test process. Requests that are not answered
        # a second after the stop are dropped.
        config = uvicorn.Config(app, log_config=None, lifespan="on" if lifespan else "off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        run = thread.submit(server.run, sockets=[listener])
        try:
            while not server.started:
                if run.done():
                    raise RuntimeError("The server did not start") from run.exception()
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
        # Raises an error that ended the server early.
        run.result()


def json_response(model: BaseModel, status: int = 200) -> Response:
    """Return a response with a wire model."""
    return Response(model.model_dump_json(), status, media_type="application/json")


def problem_response(
    status: int,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """Return an error in the format of our APIs (application/problem+json), with these extension members."""
    problem = Problem(title="Refused", status=status, detail="The stub refuses.", errors=errors, **members)
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, headers, media_type="application/problem+json")
