"""Reads JSON Lines, a JSON array of objects, and objects one after the other, however they are indented."""

import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import BinaryIO, Final

from mh_common.formats.columns import find_columns
from mh_common.formats.encodings import Encoding
from mh_common.formats.json_objects import Piece, objects_of_lines, objects_of_text
from mh_common.formats.records import RecordMaker, text_of
from mh_common.formats.rows import FIELDS, TEXTS, Facts, FileRefusedError, Format, ReadOptions, Reject, Row
from mh_common.formats.text_lines import TextLines
from mh_common.formats.texts import without_halves

_LOOKED_AT: Final = 20
_KINDS_OF_OBJECT: Final = 1000


class JsonReader:
    """Reads `file` (binary, seekable). `sample` is the beginning of its text.

    Objects need not have the same keys. Raises FileRefusedError when the first ones have no question and answer.
    """

    header: Final = (*FIELDS, "json")
    """The fields, and the record as it stands in the file."""

    def __init__(self, file: BinaryIO, encoding: Encoding, sample: str, options: ReadOptions) -> None:
        name = encoding.fallback or encoding.name
        self.facts = Facts(Format.JSON, name, notes=[encoding.note] if encoding.note else [])
        self._options = options
        self._make = RecordMaker(self.facts, options)
        self._lines = TextLines(file, encoding, newline="")
        self._columns: dict[tuple[str, ...], dict[str, str] | str] = {}
        pieces = objects_of_lines(self._lines) if _is_lines(sample) else objects_of_text(self._lines)
        first = list(islice(pieces, _LOOKED_AT))
        self._pieces = chain(first, pieces)
        self._refuse_strange(first)

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._lines.position

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each record."""
        number = -1
        for number, piece in enumerate(self._pieces):
            yield self._record(number, piece)
        self._make.finish(number + 1)

    def _record(self, number: int, piece: Piece) -> Row | Reject:
        found = piece.found
        if piece.fault or not isinstance(found, dict):
            fault = piece.fault or 'this is no JSON object; write {"question": …, "answer": …}'
            return Reject(number, piece.line, fault, self._cells({}, piece.text))
        columns = self._columns_of(tuple(found))
        if isinstance(columns, str):
            return Reject(number, piece.line, columns, self._cells({}, piece.text))
        values: dict[str, str] = {}
        for field, key in columns.items():
            try:
                text = text_of(found[key])
            except ValueError as error:
                return Reject(number, piece.line, f"the {field} {error}", self._cells(values, piece.text))
            if text is not None:
                values[field] = text
        cells = self._cells(values, piece.text)
        return self._make.record(number, piece.line, values, cells)

    def _cells(self, values: dict[str, str], text: str) -> list[str]:
        # Half a character, which JSON can name, cannot be written to a file of rejects.
        cells = (values.get(field, "") for field in FIELDS)
        return [*map(without_halves, cells), *self._lines.writable([text])]

    def _columns_of(self, keys: tuple[str, ...]) -> dict[str, str] | str:
        """Return the key of each field for objects with these keys, or what is wrong with them."""
        known = self._columns.get(keys)
        if known is None:
            if len(self._columns) == _KINDS_OF_OBJECT:
                self._columns.clear()
            known = self._columns[keys] = self._find_columns(keys)
        return known

    def _find_columns(self, keys: tuple[str, ...]) -> dict[str, str] | str:
        chosen = self._options.columns
        # A key that was chosen may be missing in some objects, unless it is that of the question or the answer.
        try:
            places = find_columns(keys, chosen, are_all_there=False)
        except FileRefusedError as error:
            known = self.facts.columns
            missing = [known[field] for field in TEXTS if field in known and known[field] not in keys]
            return f"the object has no {' and no '.join(missing)}; add what is missing" if missing else str(error)
        used = {field: keys[at] for field, at in places.items()}
        self.facts.columns.update({field: name for field, name in used.items() if field not in self.facts.columns})
        new = set(keys) - set(used.values()) - set(self.facts.ignored)
        self.facts.ignored += sorted(new)[: _KINDS_OF_OBJECT - len(self.facts.ignored)]
        return used

    def _refuse_strange(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        faults = [self._columns_of(tuple(piece.found)) for piece in pieces if isinstance(piece.found, dict)]
        if not faults:
            raise FileRefusedError(f"no JSON object was found: {pieces[0].fault or 'write one for each conversation'}")
        if isinstance(faults[0], str) and all(isinstance(fault, str) for fault in faults):
            raise FileRefusedError(faults[0])


def _is_lines(sample: str) -> bool:
    """Say whether each line is to be read by itself, rather than the whole text as one run of objects."""
    start = sample.lstrip()
    if start.startswith("["):
        return False
    lines = [line for line in re.split(r"[\r\n]+", sample) if line.strip()]
    if any(_is_object(line) for line in lines):
        return True
    return all(line.lstrip().startswith("{") and len(line) > 1 for line in lines)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
