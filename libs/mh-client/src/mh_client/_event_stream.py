"""Decode server-sent events (WHATWG HTML, 9.2.6), as far as the platform uses them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event: its name (default `message`) and its data."""

    name: str
    data: str


class EventDecoder:
    """Decodes events from chunks of bytes, split anywhere. An incomplete event at the end is dropped."""

    def __init__(self) -> None:
        self._buffer = b""
        self._name = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Add the next chunk; return the events that it completes."""
        self._buffer += piece
        # A trailing carriage return may be the first half of CRLF.
        held = b"\r" if self._buffer.endswith(b"\r") else b""
        text = self._buffer.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._buffer = rest + held
        found = (self._line(line.decode("utf-8", "replace")) for line in lines)
        return [event for event in found if event is not None]

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            event = ServerEvent(self._name or "message", "\n".join(self._data)) if self._data else None
            self._name, self._data = "", []
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        return None
