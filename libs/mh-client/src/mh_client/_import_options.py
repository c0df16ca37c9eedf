"""The options of an import."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mh_common.field_values import validate_text
from mh_common.fields import IMPORT_TAG
from mh_common.formats import ReadOptions
from mh_common.identifiers import Recognizer
from mh_common.models import MAX_BULK_ROWS, OnDuplicate

from mh_client._errors import ImportRefusedError
from mh_client._import_journal import Plan, default_state_dir
from mh_client._import_rows import Labeller
from mh_client.resources._bulk import OnDuplicateName

DEFAULT_BATCH_ROWS: Final = 500
DEFAULT_CONCURRENCY: Final = 4
_NOT_IN_TAGS: Final = re.compile(r"[^\w.]+")
_LONGEST_NAME: Final = 60


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import. `labeller` returns missing sentiments; `again` discards the journal of earlier runs.

    `read` says how the file is to be read where that is not recognised: columns, encoding, delimiter, sheet.
    `platform` identifies the platform in the journal, by default its URL: the same platform at another URL then counts
    as another one. `on_duplicate` says what becomes of a row whose question and answer the platform has: "skip",
    "update" (it takes the other fields that the file gives), or "add". `tag` is carried by what is added; by default it
    is made of the file's name and the time. `recognizer` finds identifiers in the texts, to be counted; `identifiers`
    is the file for a report of them.
    """

    batch_rows: int = DEFAULT_BATCH_ROWS
    concurrency: int = DEFAULT_CONCURRENCY
    labeller: Labeller | None = None
    again: bool = False
    state_dir: Path = field(default_factory=default_state_dir)
    platform: str | None = None
    rejects: Path | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    on_duplicate: OnDuplicate | OnDuplicateName = OnDuplicate.SKIP
    tag: str | None = None
    recognizer: Recognizer | None = None
    identifiers: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch_rows <= MAX_BULK_ROWS:
            raise ImportRefusedError(f"the batch size must be 1 to {MAX_BULK_ROWS}")
        if self.concurrency < 1:
            raise ImportRefusedError("the concurrency must be at least 1")
        try:
            object.__setattr__(self, "on_duplicate", OnDuplicate(self.on_duplicate))
        except ValueError:
            raise ImportRefusedError(f"on_duplicate must be {', '.join(OnDuplicate)}") from None
        if self.labeller is not None and self.on_duplicate is OnDuplicate.UPDATE:
            raise ImportRefusedError(
                "an update cannot label sentiments: those of a lexicon would replace what people corrected. Leave out "
                "--label-missing, or --on-duplicate update"
            )
        if self.tag is not None:
            try:
                object.__setattr__(self, "tag", validate_text(IMPORT_TAG, self.tag))
            except ValueError as error:
                raise ImportRefusedError(f"the tag {error}") from None
        if self.identifiers is not None and self.recognizer is None:
            raise ImportRefusedError("a report of identifiers needs a recognizer")

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
            on_duplicate=OnDuplicate(self.on_duplicate).value,
            tag=self.tag,
        )


def make_tag(file_name: str) -> str:
    """Return a tag for an import of a file, which no other import has: its name, the time in UTC, and four digits."""
    name = _NOT_IN_TAGS.sub("-", Path(file_name).stem).strip("-.")[:_LONGEST_NAME] or "import"
    return f"{name}-{datetime.now(UTC):%Y-%m-%d-%H%M}-{secrets.token_hex(2)}"
