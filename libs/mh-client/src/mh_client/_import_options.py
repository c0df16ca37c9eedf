"""The options of an import."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mh_common.formats import ReadOptions
from mh_common.models import MAX_BULK_ROWS

from mh_client._errors import ImportRefusedError
from mh_client._import_journal import Plan, default_state_dir
from mh_client._import_rows import Labeller

DEFAULT_BATCH_ROWS: Final = 500
DEFAULT_CONCURRENCY: Final = 4


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import. `labeller` returns missing sentiments; `again` discards the journal of earlier runs.

    `read` says how the file is to be read where that is not recognised: columns, encoding, delimiter, sheet.
    `platform` identifies the platform in the journal, by default its URL: the same platform at another URL then counts
    as another one.
    """

    batch_rows: int = DEFAULT_BATCH_ROWS
    concurrency: int = DEFAULT_CONCURRENCY
    labeller: Labeller | None = None
    again: bool = False
    state_dir: Path = field(default_factory=default_state_dir)
    platform: str | None = None
    rejects: Path | None = None
    read: ReadOptions = field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_rows <= MAX_BULK_ROWS:
            raise ImportRefusedError(f"the batch size must be 1 to {MAX_BULK_ROWS}")
        if self.concurrency < 1:
            raise ImportRefusedError("the concurrency must be at least 1")

    def plan(self) -> Plan:
        """Return what the journal keeps of these options."""
        read = self.read
        return Plan(
            self.batch_rows,
            label_missing=self.labeller is not None,
            encoding=read.encoding,
            delimiter=read.delimiter,
            columns=dict(read.columns),
            sheet=read.sheet,
            raw=read.raw,
            zero=read.zero.value,
        )
