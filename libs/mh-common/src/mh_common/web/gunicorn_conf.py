"""Gunicorn's configuration: `gunicorn --config python:mh_common.web.gunicorn_conf`, as `serving.serve` starts it."""

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from mh_common.metrics import remove_stale_metric_files

worker_class = "mh_common.web.draining.DrainingWorker"
asgi_loop = "asyncio"
# Not "auto", which serves requests even if the application did not start in time.
asgi_lifespan = "on"

# Longer than the gateway keeps idle connections, so that it never sends a request on one that was just closed.
keepalive = 75
# The master kills the remaining workers after this. Workers have less, see post_fork; the gateway closes its idle
# connections long before either.
graceful_timeout = 28
DRAIN_S = 20
# A worker whose event loop is blocked for this long is replaced.
timeout = 60

# No limit of our own: the gateway limits request lines, which may list many ids.
limit_request_line = 0

# The application logs one line per request, with the request id.
accesslog = None
loglevel = "warning"
# Nobody uses the control socket, and the file system may be read-only.
control_socket_disable = True


def on_starting(_: Arbiter) -> None:
    """Delete the metrics of an earlier run."""
    remove_stale_metric_files()


def post_fork(_: Arbiter, worker: Worker) -> None:
    """Give workers a shorter graceful timeout than the master, so that they finish before they are killed."""
    worker.cfg.set("graceful_timeout", DRAIN_S)
