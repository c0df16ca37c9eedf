"""Writes Parquet by pyarrow, a row group at a time."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from mh_common.fields import BY_NAME, Kind
from mh_common.formats.extras import load

_GROUP_ROWS: Final = 10_000
_GROUP_CHARACTERS: Final = 8_000_000


class ParquetWriter:
    """Columns have the type of the field of their name; `version` is a number; others are texts.

    Keeps up to 10,000 rows or eight million characters until they make a row group. Raises FileRefusedError where
    pyarrow is missing.
    """

    media_type = "application/vnd.apache.parquet"

    def __init__(self, columns: Sequence[str]) -> None:
        self._arrow = load("pyarrow", what="writing Parquet", extra="parquet")
        parquet = load("pyarrow.parquet", what="writing Parquet", extra="parquet")
        self._schema = self._arrow.schema([(name, self._type(name)) for name in columns])
        self._pieces = _Pieces()
        self._file = parquet.ParquetWriter(self._pieces, self._schema, compression="zstd")
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
        return self._pieces.take()

    def end(self) -> bytes:
        """Return the last row group, and the index that makes the file readable."""
        if self._rows:
            self._write_group()
        self._file.close()
        return self._pieces.take()

    def _write_group(self) -> None:
        arrays = [self._arrow.array(_values(one.name, self._columns[one.name]), one.type) for one in self._schema]
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        for column in self._columns.values():
            column.clear()
        self._rows = self._characters = 0

    def _type(self, name: str) -> Any:
        field = BY_NAME.get(name)
        if name == "version" or (field and field.kind is Kind.ID):
            return self._arrow.int64()
        if field and field.kind is Kind.DATE:
            return self._arrow.date32()
        if field and field.kind is Kind.TIMESTAMP:
            return self._arrow.timestamp("us", tz="UTC")
        return self._arrow.string()


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
