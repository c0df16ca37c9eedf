"""Parquet, which the client makes of an export in JSON Lines: the platform's image has no pyarrow."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Final

from mh_common.formats import FileRefusedError
from mh_common.formats.parquet_writer import ParquetOfLines
from mh_common.models import Conversation, FieldProblem

from mh_client._errors import InvalidInputError

COLUMNS: Final = tuple(Conversation.model_fields)


def _converter() -> ParquetOfLines:
    """Return what takes JSON Lines and gives Parquet. Raises InvalidInputError if pyarrow is missing."""
    try:
        return ParquetOfLines(COLUMNS)
    except FileRefusedError as error:
        raise InvalidInputError([FieldProblem(field="format", message=str(error))]) from error


def parquet(pieces: Generator[bytes]) -> Generator[bytes]:
    """Yield the file in Parquet whose JSON Lines are given."""
    with closing(pieces):
        converter = _converter()
        for piece in pieces:
            if made := converter.take(piece):
                yield made
        yield converter.end()


async def parquet_async(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """See `parquet`."""
    async with aclosing(pieces):
        converter = _converter()
        async for piece in pieces:
            if made := converter.take(piece):
                yield made
        yield converter.end()
