"""Signals that end a stack, but never between the start of a process and the note of it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Turns signals into KeyboardInterrupt, but not while a process is being started or stopped: none is forgotten."""

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
        """Put signals off until the block has ended."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._raise_pending()
