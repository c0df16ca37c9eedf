"""Data frames of pandas and polars, neither of which is needed otherwise."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from mh_common.formats import FileRefusedError
from mh_common.formats.columns import find_columns
from mh_common.models import Conversation, FieldProblem

from mh_client._errors import InvalidInputError

COLUMNS = tuple(Conversation.model_fields)


@runtime_checkable
class DataFrame(Protocol):
    """A data frame of pandas or polars."""

    @property
    def columns(self) -> Any:
        """The names of the columns."""

    @property
    def dtypes(self) -> Any:
        """The types of the columns."""


def rows_of_frame(frame: Any) -> Iterator[dict[str, Any]]:
    """Yield the conversations in a data frame; columns are found as in a file, and missing values left out.

    Raises InvalidInputError if it has no question and answer.
    """
    try:
        places = find_columns([str(name) for name in frame.columns], {})
    except FileRefusedError as error:
        raise InvalidInputError([FieldProblem(field="items", message=str(error))]) from None
    tuples = frame.itertuples(index=False, name=None) if hasattr(frame, "itertuples") else frame.iter_rows()
    for row in tuples:
        yield {field: _plain(field, row[at]) for field, at in places.items() if not _is_missing(row[at])}


def frame_of(conversations: Iterable[Conversation]) -> Any:
    """Return a pandas data frame, a column for each field. Raises InvalidInputError without pandas."""
    pandas = load_pandas()
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for one in conversations:
        for name, values in columns.items():
            value = getattr(one, name)
            values.append(str(value) if isinstance(value, str) else value)
    return pandas.DataFrame(columns)


def load_pandas() -> Any:
    """Return pandas. Raises InvalidInputError if it is not installed."""
    try:
        return import_module("pandas")
    except ImportError as error:
        message = "a data frame needs pandas; install it with: pip install pandas"
        raise InvalidInputError([FieldProblem(field="to_dataframe", message=message)]) from error


def _is_missing(value: Any) -> bool:
    # NaN and NaT are not equal to themselves; comparing pandas' NA gives no truth value.
    return value is None or type(value).__name__ == "NAType" or (not isinstance(value, Sequence) and value != value)


def _plain(field: str, value: Any) -> Any:
    if field == "source_date" and isinstance(value, datetime):
        return value.date()
    # A number of numpy.
    return value.item() if hasattr(value, "item") else value
