"""What an import would do with a file, without sending anything."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mh_common.formats import Facts, Reject

from mh_client._base import resolve_base_url
from mh_client._errors import ImportRefusedError
from mh_client._import_journal import Journal, journal_path
from mh_client._import_options import ImportOptions
from mh_client._import_rows import conversations, opened

SHOWN_REJECTS: Final = 20


@dataclass
class FileCheck:
    """What an import of a file would do.

    Attributes:
        facts: how the file is read.
        rows: rows that would be sent.
        skipped: rows that an earlier import stored.
        rejected: rows that cannot be sent.
        rejects: line and reason of the first 20 of those, without their text.
    """

    facts: Facts
    rows: int = 0
    skipped: int = 0
    rejected: int = 0
    rejects: list[tuple[int, str]] = field(default_factory=list)


def check_file(
    path: Path,
    options: ImportOptions | None = None,
    base_url: str | None = None,
    on_progress: Callable[[int, FileCheck], None] = lambda done_bytes, check: None,
) -> FileCheck:
    """Read a whole file as an import with these options would, and return what would be imported.

    Nothing is sent or written, and no server is needed; what the server alone would reject is not known. `base_url`
    tells which journal says what is stored already, as that of a client does. `on_progress` is called now and then.

    Raises ImportRefusedError if the file cannot be used.
    """
    options = options or ImportOptions()
    try:
        return _check(path, options, options.platform or resolve_base_url(base_url), on_progress)
    except OSError as error:
        raise ImportRefusedError(f"{error.filename or path}: {error.strerror or error}") from error


def _check(
    path: Path, options: ImportOptions, platform: str, on_progress: Callable[[int, FileCheck], None]
) -> FileCheck:
    with opened(path, options.read, options.labeller) as reader:
        journal = (
            None if options.again else Journal(journal_path(options.state_dir, path, platform, reader.facts.sheet))
        )
        check = FileCheck(reader.facts)
        for record in conversations(reader, options.labeller):
            if isinstance(record, Reject):
                check.rejected += 1
                if len(check.rejects) < SHOWN_REJECTS:
                    check.rejects.append((record.line, record.reason))
            elif journal and journal.has(record):
                check.skipped += 1
            else:
                check.rows += 1
            if not (check.rows + check.skipped + check.rejected) % options.batch_rows:
                on_progress(reader.position, check)
    return check
