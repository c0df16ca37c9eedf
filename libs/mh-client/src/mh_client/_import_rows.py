"""From the rows of a file to the conversations to send."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mh_common import formats
from mh_common.formats import FileRefusedError, Format, Reader, ReadOptions, Reject, open_rows
from mh_common.formats.rows import SENTIMENTS, TEXTS
from mh_common.models import ConversationCreate, Sentiment
from pydantic import ValidationError

from mh_client._base import field_problems
from mh_client._errors import ImportRefusedError

Labeller = Callable[[str], Sentiment]


@dataclass(frozen=True)
class Row:
    """A record that can be sent. `number`, `line` and `cells` are those of `mh_common.formats.Row`."""

    number: int
    line: int
    cells: Sequence[str]
    conversation: ConversationCreate


@contextmanager
def opened(path: Path, read: ReadOptions, labeller: Labeller | None) -> Iterator[Reader]:
    """Open a file of conversations. Raises ImportRefusedError for one that cannot be used, also while it is read."""
    try:
        # The file is read twice, for the journal's name and for the rows, which a pipe does not allow.
        with open_rows(path, read) as reader:
            _refuse_without_sentiments(reader, labeller)
            yield reader
    except FileRefusedError as error:
        # The option of `mh import`, which most people use.
        told = str(error).replace(" question=NAME and answer=NAME", " --column question=NAME --column answer=NAME")
        raise ImportRefusedError(told if told.startswith(f"{path}: ") else f"{path.name}: {told}") from error


def conversations(reader: Reader, labeller: Labeller | None) -> Iterator[Row | Reject]:
    """Yield each record of the file; `labeller`, called with a text, gives a sentiment that is missing."""
    for record in reader:
        yield record if isinstance(record, Reject) else _row(record, labeller)


def _refuse_without_sentiments(reader: Reader, labeller: Labeller | None) -> None:
    """Raise ImportRefusedError for a file in which no row has a sentiment that nothing else gives."""
    # Rows of JSON need not have the same keys: what the first ones lack, others may have.
    missing = [field for field in SENTIMENTS if field not in reader.facts.columns]
    if missing and labeller is None and reader.facts.format is not Format.JSON:
        raise ImportRefusedError(
            f"no column was recognised as {' or '.join(missing)}; add it, name it (--column {missing[0]}=NAME), "
            "or use --label-missing to label each text with a lexicon"
        )


def _row(record: formats.Row, labeller: Labeller | None) -> Row | Reject:
    values = dict(record.values)
    for text, sentiment in zip(TEXTS, SENTIMENTS, strict=True):
        if sentiment not in values:
            if labeller is None:
                reason = f"{sentiment} is missing; add it, or use --label-missing"
                return Reject(record.number, record.line, reason, record.cells)
            values[sentiment] = labeller(values[text])
    try:
        conversation = ConversationCreate.model_validate(values)
    except ValidationError as error:
        return Reject(record.number, record.line, describe_error(error), record.cells)
    return Row(record.number, record.line, record.cells, conversation)


def describe_error(error: ValidationError) -> str:
    """Describe in one line what is wrong with a record, without its text."""
    return "; ".join(f"{fault.field}: {fault.message}" for fault in field_problems(error))
