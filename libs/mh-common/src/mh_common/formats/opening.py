"""The one place that chooses the reader of a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from mh_common.formats.csv_reader import CsvReader
from mh_common.formats.encodings import find_encoding, refuse_binary
from mh_common.formats.json_reader import JsonReader
from mh_common.formats.kinds import HEAD, binary_kind, is_json, refuse_markup
from mh_common.formats.parquet_reader import ParquetReader
from mh_common.formats.rows import FileRefusedError, Format, Reader, ReadOptions
from mh_common.formats.text_lines import sample_text
from mh_common.formats.xlsx_reader import XlsxReader

_NO_OPTIONS: Final = ReadOptions()


@contextmanager
def open_rows(source: Path | BinaryIO, options: ReadOptions = _NO_OPTIONS) -> Iterator[Reader]:
    """Open a file, find out what it is, and give its reader.

    The content tells the format; where it leaves that open, the name does. `source` is a path, or a binary file that
    can seek, which is read from its beginning and stays open; give its name in `options`.

    Raises FileRefusedError, which says what to change, for a file that cannot be read as a whole and for options that
    do not fit it; OSError as `open` does.
    """
    if isinstance(source, Path):
        if not source.is_file():
            raise FileRefusedError(f"{source}: {'is not a file' if source.exists() else 'there is no such file'}")
        with source.open("rb") as file:
            yield _reader(file, options, options.name or source.name)
    else:
        if not source.seekable():
            raise FileRefusedError("this cannot be read twice, as is needed to recognise it; save it as a file first")
        yield _reader(source, options, options.name)


def _reader(file: BinaryIO, options: ReadOptions, name: str) -> Reader:
    file.seek(0)
    head = file.read(HEAD)
    if not head.strip(b"\x00"):
        raise FileRefusedError("the file is empty: give one with a row for each conversation")
    found = binary_kind(file, head)
    is_binary = found is not None or options.format in (Format.PARQUET, Format.XLSX)
    if is_binary and options.format not in (None, found):
        raise FileRefusedError(f"the file is not {options.format}; leave out the format, which is then recognised")
    if found is Format.PARQUET:
        return ParquetReader(file, options)
    if found is Format.XLSX:
        return XlsxReader(file, options)
    encoding = find_encoding(file, head, options.encoding)
    sample = sample_text(head, encoding)
    refuse_markup(sample)
    refuse_binary(sample)
    if not sample.strip("\ufeff\x00 \t\r\n") and len(head) < HEAD:
        raise FileRefusedError("the file is empty: nothing but blanks stands in it")
    chosen = options.format or (Format.JSON if is_json(sample, name) else Format.CSV)
    return (JsonReader if chosen is Format.JSON else CsvReader)(file, encoding, sample, options)
