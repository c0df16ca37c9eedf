"""What the stubs share: serving an application for as long as a block runs, and answers in the form of our own APIs."""

import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvicorn
from mh_common.models import FieldProblem, Problem
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp


@contextmanager
def serving(app: ASGIApp, *, lifespan: bool = False) -> Iterator[str]:
    """Serve on a free port of the loopback address, in a thread, until the block is left.

    Args:
        app: what to serve.
        lifespan: whether it has a start-up and a shutdown.

    Yields:
        The server's address without a slash at its end, such as `http://127.0.0.1:49152`.

    Raises:
        RuntimeError: the server did not start; its cause says why.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1, "stub") as thread:
        # asyncio sets this only on sockets it made; without it an answer can wait 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without a log_config uvicorn leaves the logging of the test's process alone. Whoever has no answer a second
        # after the stop is not waited for.
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
        # An error that ended the server early is not lost.
        run.result()


def json_response(model: BaseModel, status: int = 200) -> Response:
    """Answer with a wire model."""
    return Response(model.model_dump_json(), status, media_type="application/json")


def problem_response(
    status: int, errors: list[FieldProblem] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with an error as our APIs do (application/problem+json)."""
    problem = Problem(title="Refused", status=status, detail="The stub refuses.", errors=errors)
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, headers, media_type="application/problem+json")
