"""Cutting a sequence into parts."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in order, `size` at a time; the last part may be shorter.

    The one of itertools came with Python 3.12, and its parts are tuples.
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]
