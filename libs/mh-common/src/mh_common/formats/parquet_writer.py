"""Writes Parquet by pyarrow, a row group at a time: of rows, or of JSON Lines, which pyarrow parses itself."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from mh_common.fields import BY_NAME, Kind
from mh_common.formats.extras import load

_GROUP_ROWS: Final = 10_000
_GROUP_CHARACTERS: Final = 8_000_000


class _Groups:
    """Writes tables as row groups. Columns have the type of the field of their name; `version` is a number; others are
    texts.

    Raises FileRefusedError where pyarrow is missing.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.arrow = load("pyarrow", what="writing Parquet", extra="parquet")
        parquet = load("pyarrow.parquet", what="writing Parquet", extra="parquet")
        self.schema = self.arrow.schema([(name, self._type(name)) for name in columns])
        self._pieces = _Pieces()
        self._file = parquet.ParquetWriter(self._pieces, self.schema, compression="zstd")

    def write(self, columns: Sequence[Any]) -> None:
        """Write a row group of these columns, which are in the order of the schema and have its types."""
        self._file.write_table(self.arrow.Table.from_arrays(columns, schema=self.schema))

    def take(self) -> bytes:
        """Return what was written since the last time."""
        return self._pieces.take()

    def end(self) -> bytes:
        """Return the rest, with the index that makes the file readable."""
        self._file.close()
        return self._pieces.take()

    def _type(self, name: str) -> Any:
        field = BY_NAME.get(name)
        if name == "version" or (field and field.kind is Kind.ID):
            return self.arrow.int64()
        if field and field.kind is Kind.DATE:
            return self.arrow.date32()
        if field and field.kind is Kind.TIMESTAMP:
            return self.arrow.timestamp("us", tz="UTC")
        return self.arrow.string()


class ParquetWriter:
    """Keeps up to 10,000 rows or eight million characters until they make a row group.

    Raises FileRefusedError where pyarrow is missing.
    """

    media_type = "application/vnd.apache.parquet"

    def __init__(self, columns: Sequence[str]) -> None:
        self._groups = _Groups(columns)
        self._columns: dict[str, list[object]] = {name: [] for name in columns}
        self._rows = self._characters = 0

    def rows(self, page: Iterable[Mapping[str, object]]) -> bytes:
        """Take these rows, and return the row groups that are full."""
        columns = list(self._columns.items())
        for row in page:
            get = row.get
            for name, column in columns:
                value = get(name)
                column.append(value)
                if isinstance(value, str):
                    self._characters += len(value)
            self._rows += 1
            if self._rows == _GROUP_ROWS or self._characters >= _GROUP_CHARACTERS:
                self._write_group()
        return self._groups.take()

    def end(self) -> bytes:
        """Return the last row group, and the index that makes the file readable."""
        if self._rows:
            self._write_group()
        return self._groups.end()

    def _write_group(self) -> None:
        arrow = self._groups.arrow
        self._groups.write(
            [arrow.array(_values(one.name, self._columns[one.name]), one.type) for one in self._groups.schema]
        )
        for column in self._columns.values():
            column.clear()
        self._rows = self._characters = 0


class ParquetOfLines:
    """Makes Parquet of JSON Lines that come in pieces, cut anywhere, without an object for each row.

    Keeps the lines of up to 10,000 rows, or somewhat more than eight million bytes, until they make a row group. Keys
    that are no columns are left out. Raises FileRefusedError where pyarrow is missing.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._groups = _Groups(columns)
        self._json = load("pyarrow.json", what="writing Parquet", extra="parquet")
        arrow = self._groups.arrow
        # Days and times come as texts.
        texts = [(one.name, one.type if one.type == arrow.int64() else arrow.string()) for one in self._groups.schema]
        self._parse = self._json.ParseOptions(
            explicit_schema=arrow.schema(texts), unexpected_field_behavior="ignore", newlines_in_values=False
        )
        self._pieces: list[bytes] = []
        self._rows = self._size = 0

    def take(self, piece: bytes) -> bytes:
        """Take a piece, and return the row groups that are full."""
        self._pieces.append(piece)
        self._rows += piece.count(b"\n")
        self._size += len(piece)
        if self._rows and (self._rows >= _GROUP_ROWS or self._size >= _GROUP_CHARACTERS):
            lines, _, rest = b"".join(self._pieces).rpartition(b"\n")
            self._write_group(lines + b"\n")
            self._pieces, self._rows, self._size = [rest], 0, len(rest)
        return self._groups.take()

    def end(self) -> bytes:
        """Return the last row group, and the index that makes the file readable."""
        if lines := b"".join(self._pieces):
            self._write_group(lines)
        return self._groups.end()

    def _write_group(self, lines: bytes) -> None:
        # A block must hold a whole line at least; with a single one the rows keep their order.
        options = self._json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        table = self._json.read_json(self._groups.arrow.BufferReader(lines), options, self._parse)
        self._groups.write([table[one.name].cast(one.type) for one in self._groups.schema])


def _values(name: str, values: Iterable[object]) -> list[object]:
    """Return the values of a column as its type takes them."""
    kind = BY_NAME[name].kind if name in BY_NAME else None
    if kind is Kind.DATE or kind is Kind.TIMESTAMP:
        parse = date.fromisoformat if kind is Kind.DATE else datetime.fromisoformat
        return [(parse(value) if value else None) if isinstance(value, str) else value for value in values]
    if kind is None:
        # An enumeration is a text of its own type.
        return [str(value) if isinstance(value, str) else value for value in values]
    return [(str(value) or None) if isinstance(value, str) else value for value in values]


class _Pieces(io.RawIOBase):
    """Keeps what is written until it is taken. Positions go on, as the index of the file needs them."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._end = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._end

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._end += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
