"""Reads notes in which the identifiers are marked: "Client [NAME|Jayden] called from [PHONE|555-0142]"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mh_common.identifiers import IdentifierKind

_MARK: Final = re.compile(r"\[(?P<kind>[A-Z]+)\|(?P<text>[^\[\]\n]*)\]")
_SIMILAR: Final = re.compile(r"\[[A-Z]+\||\|[^\[\]\n]*\]")

KINDS: Final = {
    "NAME": IdentifierKind.PERSON,
    "PERSON": IdentifierKind.PERSON,
    "ADDRESS": IdentifierKind.PLACE,
    "ADDR": IdentifierKind.PLACE,
    "PLACE": IdentifierKind.PLACE,
    "CITY": IdentifierKind.PLACE,
    "ZIP": IdentifierKind.PLACE,
    "ORG": IdentifierKind.ORGANISATION,
    "DATE": IdentifierKind.DATE,
    "AGE": IdentifierKind.AGE,
    "PHONE": IdentifierKind.PHONE,
    "FAX": IdentifierKind.FAX,
    "EMAIL": IdentifierKind.EMAIL,
    "SSN": IdentifierKind.SOCIAL_SECURITY,
    "MRN": IdentifierKind.MEDICAL_RECORD,
    "PLAN": IdentifierKind.HEALTH_PLAN,
    "ACCOUNT": IdentifierKind.ACCOUNT,
    "ACCT": IdentifierKind.ACCOUNT,
    "LICENSE": IdentifierKind.LICENSE,
    "LIC": IdentifierKind.LICENSE,
    "VEHICLE": IdentifierKind.VEHICLE,
    "VEH": IdentifierKind.VEHICLE,
    "VIN": IdentifierKind.VEHICLE,
    "DEVICE": IdentifierKind.DEVICE,
    "DEV": IdentifierKind.DEVICE,
    "URL": IdentifierKind.URL,
    "IP": IdentifierKind.IP_ADDRESS,
    "BIOMETRIC": IdentifierKind.BIOMETRIC,
    "BIO": IdentifierKind.BIOMETRIC,
    "PHOTO": IdentifierKind.PHOTO,
    "ID": IdentifierKind.OTHER,
}
"""What a mark in a note stands for."""


class NotesError(Exception):
    """A file of notes cannot be used; the message says why."""


@dataclass(frozen=True)
class Mark:
    """An identifier in a note: `note.text[start:end]`."""

    start: int
    end: int
    kind: IdentifierKind


@dataclass(frozen=True)
class Note:
    """A note without its marks."""

    line: int
    text: str
    marks: tuple[Mark, ...]


def read_notes(file: Path) -> list[Note]:
    """Return the notes of a file, one a line; `\\n` in it stands for a line break, and lines with `#` are comments.

    Raises:
        NotesError: the file cannot be read, a mark is unknown or broken, or there is no note.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotesError(f"{file}: {error}") from error
    notes = [
        _note(f"{file}, line {number}", number, line.replace("\\n", "\n"))
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]
    if not notes:
        raise NotesError(f"{file} has no notes")
    return notes


def parse_note(marked: str) -> Note:
    """Return the note that a marked text is. Raises NotesError."""
    return _note("the text", 1, marked)


def _note(where: str, number: int, line: str) -> Note:
    parts: list[str] = []
    marks: list[Mark] = []
    length = end = 0
    for match in _MARK.finditer(line):
        kind = KINDS.get(match["kind"])
        if kind is None:
            raise NotesError(f"{where}: {match['kind']} is none of {', '.join(KINDS)}")
        parts += [line[end : match.start()], match["text"]]
        start = length + match.start() - end
        length = start + len(match["text"])
        marks.append(Mark(start, length, kind))
        end = match.end()
    text = "".join([*parts, line[end:]])
    if _SIMILAR.search(text):
        raise NotesError(f"{where}: a mark is not of the form [KIND|text]")
    return Note(number, text, tuple(marks))


def words_of(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each word or number of a text."""
    for match in re.finditer(r"\w+(?:['\u2019]\w+)*", text):
        yield match.span()
