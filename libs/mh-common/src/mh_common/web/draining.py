"""Gunicorn's ASGI worker, made to end without losing a request: `gunicorn -k mh_common.web.draining.DrainingWorker`.

A balancer that keeps connections open learns that one of them is over either from `Connection: close`, in time, or from
the end of the connection, too late: a POST that is under way by then can be neither answered nor safely repeated. The
same holds for a connection that waits to be accepted when its listener is closed. So SIGTERM is followed by

1. `ANNOUNCE_S` in which everything is served, and every answer says that its connection ends with it;
2. `SETTLE_S` in which the kernel lets nobody begin a connection, while those that had begun are accepted;
3. the end of the listener: the next attempt is refused, and a balancer goes elsewhere with what it never sent;
4. Gunicorn's own graceful shutdown: what runs may end within `graceful_timeout`, idle connections may still be used.

Processes of one replica share the listener. Where others go on with it (Gunicorn was told to reload, or to have fewer
processes), they open it again within a second, in which the kernel has not yet given up on anybody.
"""

import ctypes
import logging
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any, Final

from gunicorn.workers.gasgi import ASGIWorker
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

LISTENER_NOT_DRAINED: Final = "listener_not_drained"
"""The system has no such filter: connections that nobody has accepted yet may be reset."""

ANNOUNCE_S: Final = 1.5
SETTLE_S: Final = 0.2

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
# Of a segment, byte 13 has the flags; SYN is the second of them. What begins a connection is dropped, the rest passes.
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load the byte at 13
    (0x45, 0, 1, 0x02),  # when it has this bit go on, else pass over one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # keep all of it
)


class DrainingWorker(ASGIWorker):  # type: ignore[misc] # Gunicorn ships no types
    """One process of a replica."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.draining = False

    def init_process(self) -> None:
        """Begin, in the process that was just forked."""
        # Until it has its own, it has the master's way with SIGTERM, which would pass over it: the process would go on
        # taking connections until the master kills it. It has none yet, so it may end on the spot.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and let its answers say when a connection is over."""
        super().load_wsgi()
        self.asgi: ASGIApp = _Announcing(self.asgi, self)

    def handle_exit_signal(self) -> None:
        """Begin to drain; a second SIGTERM changes nothing."""
        if self.draining:
            return
        self.draining = True
        self.loop.call_later(ANNOUNCE_S, self._refuse)

    def notify(self) -> None:
        """Tell the master, once a second, that this process lives; and open what others closed and it goes on with."""
        super().notify()
        if not self.draining:
            for listener in self.sockets:
                admit_connections(listener.sock)

    def _refuse(self) -> None:
        for listener in self.sockets:
            refuse_connections(listener.sock)
        self.loop.call_later(SETTLE_S, self._close)

    def _close(self) -> None:
        for server in self.servers:
            server.close()
        super().handle_exit_signal()


class _Announcing:
    """ASGI application that adds `Connection: close` while its worker drains."""

    def __init__(self, app: ASGIApp, worker: DrainingWorker) -> None:
        self._app = app
        self._worker = worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def announce(message: Message) -> None:
            # Later Gunicorn says it itself.
            if message["type"] == "http.response.start" and self._worker.draining and self._worker.alive:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, announce if scope["type"] == "http" else send)


def refuse_connections(listener: socket.socket) -> None:
    """Let nobody begin a connection; those that have begun can still be accepted. Linux only, nothing elsewhere.

    The kernel drops the first segment of each; its sender tries again after a second. By then the listener is closed,
    and refuses it.
    """
    if not sys.platform.startswith("linux"):
        return
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(steps))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError as error:  # some sandboxes do not offer it
        log.warning(LISTENER_NOT_DRAINED, extra={"error": str(error)})


def admit_connections(listener: socket.socket) -> None:
    """Undo `refuse_connections`."""
    if sys.platform.startswith("linux"):
        with suppress(OSError):  # there is nothing to undo
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
