"""Signals that stop a stack, but never between starting a process and recording it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Turns signals into KeyboardInterrupt, deferred while a process is being started or stopped."""

    def __init__(self) -> None:
        self._held = False
        self._pending = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._arrived)

    def _arrived(self, _: int, __: FrameType | None) -> None:
        self._pending = True
        self._raise_pending()

    def _raise_pending(self) -> None:
        if self._pending and not self._held:
            self._pending = False
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Defer signals until the end of the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._raise_pending()
