"""Any number of conversations to create, as requests of a size that the platform takes."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, Literal

from mh_common.models import (
    MAX_BULK_ROWS,
    BulkCreate,
    BulkCreated,
    BulkOptions,
    ConversationCreate,
    FieldProblem,
    OnDuplicate,
)

from mh_client._base import IDEMPOTENCY_KEY, Call, validated
from mh_client._errors import APIStatusError, InvalidInputError
from mh_client.resources._frames import DataFrame, rows_of_frame

PATH: Final = "/api/v1/conversations/bulk"
PIECE_BYTES: Final = 4_000_000
"""Maximum size of one request; a single conversation may be larger."""

Item = ConversationCreate | Mapping[str, Any]
Items = Iterable[Item] | DataFrame
OnDuplicateName = Literal["add", "skip", "update"]

_USUAL: Final = BulkOptions()


def bulk_options(
    on_duplicate: OnDuplicate | OnDuplicateName, import_tag: str | None, *, dry_run: bool = False
) -> BulkOptions:
    """Return checked options. Raises InvalidInputError."""
    return validated(BulkOptions, {"on_duplicate": on_duplicate, "import_tag": import_tag, "dry_run": dry_run})


def bulk_piece(
    items: Sequence[ConversationCreate], *, idempotency_key: str | None = None, options: BulkOptions = _USUAL
) -> Call[BulkCreated]:
    """Send 1 to 1000 conversations in one request, all or none; return what became of each, in the same order."""
    texts = [item.model_dump_json(exclude_none=True).encode() for item in items]
    return _call(texts, idempotency_key or str(uuid.uuid4()), options)


def bulk_calls(items: Items, idempotency_key: str | None, options: BulkOptions = _USUAL) -> Iterator[Call[BulkCreated]]:
    """Yield the requests. Raises InvalidInputError, which names the rows, for what can be sent in none.

    A sequence or a data frame is checked as a whole before the first request, other iterables a request at a time.
    """
    pieces = _checked(_rows(items))
    if isinstance(items, Sequence | DataFrame):
        pieces = iter(list(pieces))
    number = 0
    for piece in pieces:
        for texts in _cut(piece):
            yield _call(texts, _key(idempotency_key, number), options)
            number += 1


@contextmanager
def rows_counted_from(start: int) -> Iterator[None]:
    """Let errors about rows of a request name the rows of all the items, of which `start` were stored before."""
    try:
        yield
    except APIStatusError as error:
        if error.problem is not None and error.problem.errors:
            error.problem.errors = _moved(error.problem.errors, start)
        raise


def _rows(items: Items) -> Iterator[Item]:
    if isinstance(items, DataFrame):
        return rows_of_frame(items)
    if isinstance(items, Mapping | str | bytes):
        message = "must be several conversations, such as a list; create takes a single one"
        raise InvalidInputError([FieldProblem(field="items", message=message)])
    return iter(items)


def _checked(rows: Iterator[Item]) -> Iterator[list[ConversationCreate]]:
    start = 0
    while piece := list(islice(rows, MAX_BULK_ROWS)):
        try:
            yield validated(BulkCreate, {"items": piece}).items
        except InvalidInputError as error:
            raise InvalidInputError(_moved(error.errors, start)) from None
        start += len(piece)


def _cut(piece: Sequence[ConversationCreate]) -> Iterator[list[bytes]]:
    texts: list[bytes] = []
    size = 0
    for item in piece:
        text = item.model_dump_json(exclude_none=True).encode()
        if texts and size + len(text) > PIECE_BYTES:
            yield texts
            texts, size = [], 0
        texts.append(text)
        size += len(text)
    yield texts


def _call(texts: Sequence[bytes], key: str, options: BulkOptions) -> Call[BulkCreated]:
    said = options.model_dump_json(exclude_defaults=True)[1:-1].encode()
    return Call(
        method="POST",
        path=PATH,
        content=b'{"items":[' + b",".join(texts) + b"]" + (b"," + said if said else b"") + b"}",
        headers={IDEMPOTENCY_KEY: key},
        parse=BulkCreated.model_validate_json,
    )


def _key(given: str | None, number: int) -> str:
    if given is None:
        return str(uuid.uuid4())
    return hashlib.sha256(f"{given}\n{number}".encode()).hexdigest() if number else given


def _moved(errors: Iterable[FieldProblem], start: int) -> list[FieldProblem]:
    return [_moved_one(error, start) for error in errors]


def _moved_one(error: FieldProblem, start: int) -> FieldProblem:
    if error.row is None or not start:
        return error
    field = error.field.replace(f"items.{error.row}", f"items.{error.row + start}", 1)
    return error.model_copy(update={"row": error.row + start, "field": field})
