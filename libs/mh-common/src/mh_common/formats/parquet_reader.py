"""Reads Parquet by pyarrow, a few megabytes at a time."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from mh_common.formats.extras import load
from mh_common.formats.records import RecordMaker, values_of
from mh_common.formats.rows import Facts, FileRefusedError, Format, ReadOptions, Reject, Row

PARQUET: Final = "parquet"
_BATCH_BYTES: Final = 4 * 1024 * 1024
_MOST_ROWS: Final = 2000
_BUFFER: Final = 1024 * 1024
_DAMAGED: Final = "the Parquet file is damaged or cut off; make it or copy it again"


class ParquetReader:
    """Reads `file` (binary, seekable). Columns of lists, objects and such are not read.

    Raises FileRefusedError for a damaged file, one without question and answer, and where pyarrow is missing.
    """

    def __init__(self, file: BinaryIO, options: ReadOptions) -> None:
        self._arrow = load("pyarrow", what="reading Parquet", extra=PARQUET)
        parquet = load("pyarrow.parquet", what="reading Parquet", extra=PARQUET)
        self.facts = Facts(Format.PARQUET)
        self._make = RecordMaker(self.facts, options)
        self._file = file
        file.seek(0)
        try:
            # Without pre_buffer, and with a buffer, a row group need not fit in memory.
            self._table = parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
            schema = self._table.schema_arrow
        except (self._arrow.ArrowException, OSError, ValueError) as error:
            raise FileRefusedError(_DAMAGED) from error
        nested = [one.name for one in schema if self._arrow.types.is_nested(one.type)]
        self.header = [one.name for one in schema if one.name not in nested]
        self._places = self._make.use(self.header)
        self.facts.ignored += nested

    @property
    def position(self) -> int:
        """Bytes of the file that were passed; columns lie apart, so that this is but a rough measure."""
        return self._file.tell()

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each record."""
        number = 0
        for batch in self._batches():
            columns = [self._texts(column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                values = values_of(self._places, cells)
                yield self._make.record(number, number + 1, values, cells)
                number += 1
        self._make.finish(number)

    def _batches(self) -> Iterator[Any]:
        metadata = self._table.metadata
        size = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
        rows = max(1, min(_MOST_ROWS, _BATCH_BYTES * metadata.num_rows // max(1, size)))
        try:
            yield from self._table.iter_batches(batch_size=rows, columns=self.header)
        except (self._arrow.ArrowException, OSError) as error:
            raise FileRefusedError(_DAMAGED) from error

    def _texts(self, column: Any) -> Sequence[str]:
        """Return a column as texts; bytes that are no UTF-8 as `surrogateescape` has them."""
        arrow = self._arrow
        kind = column.type
        if arrow.types.is_dictionary(kind):
            column, kind = column.dictionary_decode(), kind.value_type
        if arrow.types.is_timestamp(kind) and self._is_day(column):
            column = column.cast(arrow.date32())
        try:
            texts: Sequence[str] = column.cast(arrow.string()).fill_null("").to_pylist()
        except (arrow.ArrowException, UnicodeDecodeError):
            texts = [_text(value) for value in self._values(column, kind)]
        return texts

    def _values(self, column: Any, kind: Any) -> Sequence[object]:
        arrow = self._arrow
        is_text = arrow.types.is_string(kind) or arrow.types.is_large_string(kind)
        values: Sequence[object] = (column.cast(arrow.large_binary()) if is_text else column).to_pylist()
        return values

    def _is_day(self, column: Any) -> bool:
        """Say whether the times of a column are days, as data frames keep them."""
        try:
            return bool(column.cast(self._arrow.date32()).cast(column.type).equals(column))
        except self._arrow.ArrowException:
            return False


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)
