"""Cuts the text of a JSON file into values, and goes on after one that is broken."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mh_common.formats.rows import LONGEST_RECORD
from mh_common.formats.text_lines import TextLines

_CHUNK: Final = 1024 * 1024
# Line breaks and tabs inside strings are no JSON, but plain enough.
_DECODER: Final = json.JSONDecoder(strict=False)
_BETWEEN: Final = re.compile(r"[\s,\ufeff\x1e]*")
_NEXT_OBJECT: Final = re.compile(r"[}\]]\s*,?\s*(?=\{)|\n[ \t]*(?=\{)")
# An error so close to the end of what was read comes from its being cut there.
_CUT: Final = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A value of the file: its line, its text, and what it is or why it is broken."""

    line: int
    text: str
    found: Any = None
    fault: str | None = None


def objects_of_lines(lines: TextLines) -> Iterator[Piece]:
    """Yield what stands on each line that is not empty."""
    while True:
        lines.begin_record()
        line = next(lines, None)
        if line is None:
            return
        text = line.strip("\ufeff\x1e \t\r\n")
        if not text:
            continue
        if lines.fault:
            yield Piece(lines.number, text, fault=lines.fault)
            continue
        at = 0
        # Several objects on a line are no JSON Lines, and still clear.
        while at < len(text):
            try:
                found, end = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                yield Piece(lines.number, text[at:], fault=_reason(error))
                break
            yield Piece(lines.number, text[at:end], found)
            between = _BETWEEN.match(text, end)
            at = between.end() if between else end


def objects_of_text(lines: TextLines) -> Iterator[Piece]:
    """Yield the elements of arrays, and the objects outside of any, wherever lines end."""
    text = _TextWindow(lines)
    while text.skip_between():
        try:
            found, end = _DECODER.raw_decode(text.window, text.at)
        except (ValueError, RecursionError) as error:
            if text.is_cut(error) and text.grow():
                continue
            yield text.take_broken(_reason(text.placed(error)))
            continue
        if end == len(text.window) and not isinstance(found, dict) and text.grow():
            # It may be the beginning of a longer number.
            continue
        yield text.take(end, found)


class _TextWindow:
    """The part of a text that is being read: from `at` on, and as much after it as was needed."""

    def __init__(self, lines: TextLines) -> None:
        self._lines = lines
        self.window = ""
        self.at = 0
        self.line = 1
        self._is_array = False

    def grow(self) -> bool:
        """Read on, twice as much at each failure in a row; False at the end, and when a value becomes too long."""
        if len(self.window) - self.at > LONGEST_RECORD * 2:
            return False
        self.window, self.at = self.window[self.at :], 0
        more = self._lines.read(max(_CHUNK, len(self.window)))
        self.window += more
        return bool(more)

    def skip_between(self) -> bool:
        """Go to the next value, into arrays and out of them; False at the end."""
        while True:
            between = _BETWEEN.match(self.window, self.at)
            self._move(between.end() if between else self.at)
            if self.at < len(self.window):
                if self.window[self.at] != ("]" if self._is_array else "["):
                    return True
                self._is_array = not self._is_array
                self._move(self.at + 1)
            elif not self.grow():
                return False

    def is_cut(self, error: Exception) -> bool:
        """Say whether the value may be whole when more is read."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.pos >= len(self.window) - _CUT or error.msg.startswith("Unterminated string")

    def placed(self, error: Exception) -> Exception:
        """Return the error as if the value were all that was read."""
        if not isinstance(error, json.JSONDecodeError):
            return error
        return json.JSONDecodeError(error.msg, self.window[self.at : error.pos + 1], max(0, error.pos - self.at))

    def take(self, end: int, found: object) -> Piece:
        piece = Piece(self.line, self.window[self.at : end], found)
        self._move(end)
        return piece

    def take_broken(self, fault: str) -> Piece:
        """Take what is broken, up to what looks like the next object."""
        match = _NEXT_OBJECT.search(self.window, self.at + 1)
        while match is None and self.grow():
            match = _NEXT_OBJECT.search(self.window, self.at + 1)
        end = match.end() if match else len(self.window)
        piece = Piece(self.line, self.window[self.at : end].rstrip(" \t\r\n,"), fault=fault)
        self._move(end)
        return piece

    def _move(self, end: int) -> None:
        self.line += self.window.count("\n", self.at, end)
        self.at = end


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        place = f" at character {error.pos + 1}" if error.lineno == 1 else ""
        return f"this is not JSON ({error.msg}{place}); mend it, or write the file anew with a program"
    return "this is not JSON that can be read: it is nested too deeply, or has a number that is too long"
