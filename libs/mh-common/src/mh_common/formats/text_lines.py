"""The lines of a text file in any encoding: numbered, in constant memory, and with what could not be decoded."""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from mh_common.formats.encodings import UTF_8, Encoding, encoding_name
from mh_common.formats.rows import LONGEST_RECORD, FileRefusedError

_BUFFER: Final = 64 * 1024
_UNDECODED: Final = re.compile("[\ud800-\udfff]")
# In a file of Windows-1252 two of its characters may look like one of these in UTF-8, such as a capital with an accent
# and a closing quotation mark. Those of Western languages, and marks and emoji, cannot come about like that.
_NOT_WESTERN_UTF_8: Final = re.compile("[\x80-\x9f\u0100-\u07ff\ud800-\udfff]")


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Decode what is no text as one lone surrogate a byte, as `surrogateescape` does for bytes beyond ASCII."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("mh_each_byte", _each_byte)


class _Part(io.RawIOBase):
    """The rest of a file, which stays open when this is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class TextLines(Iterator[str]):
    """Gives the lines of a file from `encoding.start` on, with their ends.

    `newline` ends them as for `open`: "\\n" (which takes "\\r\\n" along), "\\r", or "" for any of the three. A record
    begins with `begin_record`; then `first` is the number of its first line, `raw` has its lines so far, and `fault`
    says what in them could not be decoded.
    """

    def __init__(self, file: BinaryIO, encoding: Encoding, newline: str) -> None:
        file.seek(encoding.start)
        self._file = file
        self._encoding = encoding
        self._errors = "surrogateescape" if _is_like_ascii(encoding.name) else "mh_each_byte"
        self._text = io.TextIOWrapper(
            io.BufferedReader(_Part(file), _BUFFER), encoding.name, errors=self._errors, newline=newline
        )
        self._given_back: deque[str] = deque()
        self.number = 0
        self.begin_record()

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._file.tell()

    def begin_record(self) -> None:
        """Begin a record with the next line."""
        self.first = self.number + 1
        self.raw: list[str] = []
        self.fault: str | None = None
        self._read: list[str] = []

    def keep_first(self) -> None:
        """Let the lines of the record be read again, but for its first one."""
        self._given_back.extendleft(reversed(self._read[1:]))
        self.number = self.first
        del self.raw[1:], self._read[1:]

    def writable(self, cells: Sequence[str]) -> list[str]:
        """Return the cells of a record with a fault so that they can be written with `surrogateescape`."""
        if self._errors == "surrogateescape":
            return list(cells)
        return [_UNDECODED.sub("\ufffd", cell) for cell in cells]

    def read(self, size: int) -> str:
        """Return the next characters, whatever lines they are in; at the end none."""
        text = self._text.read(size)
        if self._encoding.fallback is None or text.isascii():
            return text
        return "\n".join(map(self._in_fallback, text.split("\n")))

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else self._text.readline(LONGEST_RECORD * 2 + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_RECORD * 2:
            limit = f"{LONGEST_RECORD * 2:,}"
            raise FileRefusedError(f"line {self.number} is longer than {limit} characters: no table has such lines")
        self._read.append(line)
        if self.number == 1:
            line = line.lstrip("\ufeff")
        if not (self._encoding.is_sound or line.isascii()):
            line = self._decoded(line)
        self.raw.append(line)
        return line

    def _decoded(self, line: str) -> str:
        line = self._in_fallback(line)
        match = _UNDECODED.search(line)
        if match and self.fault is None:
            name, byte = self._encoding.fallback or self._encoding.name, ord(match[0]) & 0xFF
            self.fault = (
                f"line {self.number} is not {encoding_name(name)}: byte 0x{byte:02X} at character {match.start() + 1}. "
                "Write the character anew, or say the encoding of the file"
            )
        return line

    def _in_fallback(self, line: str) -> str:
        """Decode a line in the other encoding of the file, unless it is surely in the first."""
        if self._encoding.fallback is None or not _NOT_WESTERN_UTF_8.search(line):
            return line
        return line.encode(UTF_8, "surrogateescape").decode(self._encoding.fallback, "surrogateescape")


def _is_like_ascii(encoding: str) -> bool:
    text = "".join(map(chr, range(128)))
    try:
        return text.encode(encoding) == text.encode()
    except UnicodeError:
        return False


def sample_text(head: bytes, encoding: Encoding) -> str:
    """Return the beginning of a file as text; what is not in the encoding comes as it may."""
    part = head[encoding.start :]
    name = encoding.fallback or encoding.name
    return codecs.getincrementaldecoder(name)("replace").decode(part).lstrip("\ufeff")
