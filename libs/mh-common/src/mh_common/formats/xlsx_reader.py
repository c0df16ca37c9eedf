"""Reads a sheet of an Excel workbook by calamine.

Unlike the other readers it holds the whole sheet in memory, as calamine does: about two to three times what its texts
take. `LARGEST` keeps that within bounds, for small files that unpack to large ones too.
"""

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO, Final

from mh_common.formats.extras import load
from mh_common.formats.records import RecordMaker, text_of, values_of
from mh_common.formats.rows import Facts, FileRefusedError, Format, ReadOptions, Reject, Row

XLSX: Final = "xlsx"
LARGEST: Final = 512 * 1024 * 1024
"""Most bytes of a workbook, unpacked."""


class XlsxReader:
    """Reads the sheet named `options.sheet`, or the first that shows, of `file` (binary, seekable).

    Raises FileRefusedError for a sheet that is not there, a file that is too large, damaged or protected, and where
    python-calamine is missing. Formulas count as the value that was saved with them.
    """

    def __init__(self, file: BinaryIO, options: ReadOptions) -> None:
        calamine = load("python_calamine", what="reading an Excel workbook (.xlsx)", extra=XLSX)
        self.facts = Facts(Format.XLSX)
        self._make = RecordMaker(self.facts, options)
        self._file = file
        _refuse_large(file)
        file.seek(0)
        try:
            workbook = calamine.CalamineWorkbook.from_filelike(file)
            sheet = workbook.get_sheet_by_name(_sheet_name(workbook, options.sheet, calamine))
        except (calamine.CalamineError, OSError, ValueError) as error:
            if isinstance(error, FileRefusedError):
                raise
            raise FileRefusedError("the workbook is damaged; open it in Excel and save it again") from error
        self.facts.sheet = sheet.name
        self._size = file.seek(0, 2)
        self._height: int = max(1, sheet.total_height)
        self._rows: Iterator[tuple[int, list[str]]] = (
            (line, [_text(value) for value in cells]) for line, cells in enumerate(sheet.iter_rows(), 1)
        )
        self._done = 0
        self.header = self._header()
        self._places = self._make.use(self.header)

    @property
    def position(self) -> int:
        """The part of the file's bytes that the rows make which were read."""
        return self._size * self._done // self._height

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each row below the header that is not empty."""
        number = 0
        for line, cells in self._rows:
            self._done += 1
            if any(cell.strip() for cell in cells):
                yield self._make.record(number, line, values_of(self._places, cells), cells)
                number += 1
        self._make.finish(number)

    def _header(self) -> list[str]:
        for _, cells in self._rows:
            self._done += 1
            if any(cell.strip() for cell in cells):
                return cells
        raise FileRefusedError(f"the sheet {self.facts.sheet} is empty; name another one, or fill it")


def _refuse_large(file: BinaryIO) -> None:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        size = sum(part.file_size for part in archive.infolist() if part.filename.endswith(".xml"))
    if size > LARGEST:
        limit = LARGEST // 1024**2
        raise FileRefusedError(f"the workbook has more than {limit:,} MB when unpacked; save the sheet as CSV UTF-8")


def _sheet_name(workbook: Any, wanted: str | None, calamine: Any) -> str:
    sheets = [one for one in workbook.sheets_metadata if one.typ == calamine.SheetTypeEnum.WorkSheet]
    names: list[str] = [one.name for one in sheets]
    shown = [one.name for one in sheets if one.visible == calamine.SheetVisibleEnum.Visible]
    if not names:
        raise FileRefusedError("the workbook has no sheet with cells")
    if wanted is None:
        return (shown or names)[0]
    for name in names:
        if name.strip().casefold() == wanted.strip().casefold():
            return name
    raise FileRefusedError(f"the workbook has no sheet {wanted}; it has: {', '.join(names[:20])}")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime | date | timedelta) or hasattr(value, "isoformat"):
        return str(value)
    return text_of(value) or ""
