"""Cuts the rows of a file into requests, and reads what the platform says against a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.formats import Reader, Reject
from mh_common.models import MAX_BULK_ROWS

from mh_client._errors import UnprocessableError
from mh_client._import_rows import Labeller, Row, conversations

BATCH_BYTES: Final = 4_000_000
"""Maximum size of the texts in one request, in UTF-8; a single row may be larger."""


@dataclass(frozen=True)
class Chunk:
    """The rows of one request, and the rejects read in between."""

    rows: list[Row]
    rejects: list[Reject]
    read_bytes: int


def chunks(reader: Reader, labeller: Labeller | None, batch_rows: int) -> Iterator[Chunk]:
    """Split the file into requests, always at the same places for the same file and `batch_rows`."""
    rows: list[Row] = []
    rejects: list[Reject] = []
    size = position = 0
    for record in conversations(reader, labeller):
        if isinstance(record, Reject):
            rejects.append(record)
            if len(rejects) == MAX_BULK_ROWS:
                yield Chunk([], rejects, 0)
                rejects = []
            continue
        text = _text_bytes(record)
        if rows and (len(rows) == batch_rows or size + text > BATCH_BYTES):
            yield Chunk(rows, rejects, reader.position - position)
            rows, rejects, size, position = [], [], 0, reader.position
        rows.append(record)
        size += text
    yield Chunk(rows, rejects, reader.position - position)


def _text_bytes(row: Row) -> int:
    return sum(len(value.encode()) for _, value in row.conversation if isinstance(value, str))


def refused(rows: Sequence[Row], error: UnprocessableError) -> list[Reject]:
    """Return the rows that the platform names in an error, with its reasons. Raises `error` if it names none."""
    reasons: dict[int, list[str]] = {}
    for fault in (error.problem and error.problem.errors) or ():
        if fault.row is not None and 0 <= fault.row < len(rows):
            field_name = fault.field.rpartition(".")[2]
            reasons.setdefault(fault.row, []).append(f"{field_name}: {fault.message}")
    if not reasons:
        raise error
    found = ((rows[at], "; ".join(told)) for at, told in sorted(reasons.items()))
    return [Reject(row.number, row.line, reason, row.cells) for row, reason in found]


def without(rows: Sequence[Row], rejects: Sequence[Reject]) -> list[Row]:
    """Return the rows that are not among these rejects."""
    numbers = {reject.number for reject in rejects}
    return [row for row in rows if row.number not in numbers]
