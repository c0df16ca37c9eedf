"""Gunicorn's ASGI worker with connection draining: `gunicorn -k mh_common.web.draining.DrainingWorker`.

A load balancer with keep-alive connections must learn from `Connection: close` that a connection ends. If it only sees
the connection closed, a POST already on its way can be neither answered nor safely retried; the same is true of
connections still in the accept queue when the listener closes. Therefore, after SIGTERM:

1. for `ANNOUNCE_S` everything is served, and every response has `Connection: close`;
2. for `SETTLE_S` the kernel drops new connections, while those already established are accepted;
3. the listener is closed: new connections are refused, and the balancer tries another replica;
4. Gunicorn shuts down gracefully: running requests may finish within `graceful_timeout`, idle connections may be used.

The processes of a replica share the listener. If others keep using it (after a reload, or with fewer processes), they
reopen it within a second, before the kernel gives up on any connection.
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
"""The system does not support the socket filter: connections that are not accepted yet may be reset."""

ANNOUNCE_S: Final = 1.5
SETTLE_S: Final = 0.2

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
# A BPF program. Byte 13 of a TCP segment has the flags; SYN is bit 0x02. Drop segments with SYN, accept the others.
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x45, 0, 1, 0x02),  # if SYN is set continue, else skip one instruction
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # accept the whole segment
)


class DrainingWorker(ASGIWorker):  # type: ignore[misc] # Gunicorn ships no types
    """One process of a replica."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.draining = False

    def init_process(self) -> None:
        """Initialise the process that was just forked."""
        # The inherited SIGTERM handler of the master would ignore the signal until ours is installed, and the process
        # would serve until the master kills it. It has no connections yet, so it may exit immediately.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application and wrap it so that responses announce the end of their connection."""
        super().load_wsgi()
        self.asgi: ASGIApp = _ConnectionClose(self.asgi, self)

    def handle_exit_signal(self) -> None:
        """Start draining; a second SIGTERM has no effect."""
        if self.draining:
            return
        self.draining = True
        self.loop.call_later(ANNOUNCE_S, self._refuse)

    def notify(self) -> None:
        """Send the master a heartbeat, once a second, and reopen listeners that another process closed."""
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


class _ConnectionClose:
    """ASGI middleware that adds `Connection: close` while its worker is draining."""

    def __init__(self, app: ASGIApp, worker: DrainingWorker) -> None:
        self._app = app
        self._worker = worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add_header(message: Message) -> None:
            # Afterwards Gunicorn adds the header itself.
            if message["type"] == "http.response.start" and self._worker.draining and self._worker.alive:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, add_header if scope["type"] == "http" else send)


def refuse_connections(listener: socket.socket) -> None:
    """Drop new connections; established ones can still be accepted. Does nothing except on Linux.

    The kernel drops the SYN, and the client retransmits it after a second. By then the listener is closed and the
    connection is refused.
    """
    if not sys.platform.startswith("linux"):
        return
    steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(steps))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError as error:  # some sandboxes do not support it
        log.warning(LISTENER_NOT_DRAINED, extra={"error": str(error)})


def admit_connections(listener: socket.socket) -> None:
    """Undo `refuse_connections`."""
    if sys.platform.startswith("linux"):
        with suppress(OSError):  # there is nothing to undo
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
