"""The file format of backups: gzipped JSON with a header line, one line per row, and a line of counts and checksums."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
BATCH: Final = 500


class BackupError(Exception):
    """The backup cannot be made, read or restored. The message says why."""


@dataclass(frozen=True)
class Digest:
    """The number of rows of a table, and their SHA-256 in primary key order."""

    rows: int
    sha256: str


class Sums:
    """Counts and hashes lines."""

    def __init__(self) -> None:
        self._rows, self._hash = 0, hashlib.sha256()

    def add(self, line: str) -> None:
        """Count and hash a line."""
        self._rows += 1
        self._hash.update(line.encode() + b"\n")

    @property
    def digest(self) -> Digest:
        """The digest of the lines so far."""
        return Digest(self._rows, self._hash.hexdigest())


def read_checked(file: Path) -> tuple[dict[str, Any], dict[str, Digest]]:
    """Read the whole backup and verify its checksums; return its header and the digest of each table."""
    sums: dict[str, Sums] = {}
    last = ""
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
            head = json.loads(next(lines))
            if head.get("format") != FORMAT:
                raise BackupError(f"{file} is a backup of format {head.get('format')}; this release reads {FORMAT}.")
            for line in lines:
                name, tab, row = line.rstrip("\n").partition("\t")
                if tab:
                    sums.setdefault(json.loads(name), Sums()).add(row)
                last = line
        digests = {name: Digest(**digest) for name, digest in json.loads(last).items()}
    except (OSError, EOFError, StopIteration, ValueError, AttributeError, TypeError) as error:
        raise BackupError(f"{file} is not a complete backup ({type(error).__name__}).") from error
    for name, digest in digests.items():
        if sums.setdefault(name, Sums()).digest != digest:
            raise BackupError(f"{file} is damaged: the checksum of {name} does not match.")
    return head, digests


def batches(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a verified backup, at most BATCH of one table at a time."""
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        name, rows = "", list[str]()
        for line in islice(lines, 1, None):
            table, _, row = line.rstrip("\n").partition("\t")
            if rows and (table != name or len(rows) == BATCH):
                yield json.loads(name), rows
                rows = []
            name = table
            # The last line is not a row; it is never yielded.
            rows.append(row)
