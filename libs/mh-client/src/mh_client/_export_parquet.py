"""Parquet, which the client makes of an export in JSON Lines: the platform's image has no pyarrow."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Final

from mh_common.formats import FileRefusedError, Format, make_writer
from mh_common.models import Conversation, FieldProblem
from pydantic_core import from_json

from mh_client._errors import InvalidInputError

COLUMNS: Final = tuple(Conversation.model_fields)


class _Converter:
    """Takes JSON Lines in pieces, cut anywhere, and gives Parquet. Raises InvalidInputError if pyarrow is missing."""

    def __init__(self) -> None:
        try:
            self._writer = make_writer(Format.PARQUET, COLUMNS)
        except FileRefusedError as error:
            raise InvalidInputError([FieldProblem(field="format", message=str(error))]) from error
        self._rest = b""

    def take(self, piece: bytes) -> bytes:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return self._writer.rows(from_json(line, cache_strings="keys") for line in lines)

    def end(self) -> bytes:
        return self._writer.end()


def parquet(pieces: Generator[bytes]) -> Generator[bytes]:
    """Yield the file in Parquet whose JSON Lines are given."""
    with closing(pieces):
        converter = _Converter()
        for piece in pieces:
            if made := converter.take(piece):
                yield made
        yield converter.end()


async def parquet_async(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """See `parquet`."""
    async with aclosing(pieces):
        converter = _Converter()
        async for piece in pieces:
            if made := converter.take(piece):
                yield made
        yield converter.end()
