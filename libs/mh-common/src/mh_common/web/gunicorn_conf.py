"""How gunicorn runs our APIs: `gunicorn --config python:mh_common.web.gunicorn_conf`. `serving.serve` starts it so."""

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from mh_common.metrics import forget_former_processes

worker_class = "mh_common.web.draining.DrainingWorker"
asgi_loop = "asyncio"
# Not "auto", which serves requests although the application could not start in time.
asgi_lifespan = "on"

# Idle connections outlive the gateway's own patience with them, so that it never sends on one that just closed.
keepalive = 75
# Of the master, which ends what is left of its workers after it; theirs is shorter: see post_fork. The gateway gives up
# idle connections long before either.
graceful_timeout = 28
DRAIN_S = 20
# A worker whose event loop stands still for so long is replaced.
timeout = 60

# As long as the gateway lets request lines be: it lists ids.
limit_request_line = 0

# One line a request is logged by the application, with the request's id.
accesslog = None
loglevel = "warning"
# Nothing to write outside the temporary folder, and nobody to talk to.
control_socket_disable = True


def on_starting(_: Arbiter) -> None:
    """Begin with no numbers of a former run."""
    forget_former_processes()


def post_fork(_: Arbiter, worker: Worker) -> None:
    """Let a worker give up waiting for its clients before the master gives up waiting for the worker."""
    worker.cfg.set("graceful_timeout", DRAIN_S)
