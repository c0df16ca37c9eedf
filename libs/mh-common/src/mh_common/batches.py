"""Split a sequence into batches."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield slices of `size` items, in order; the last one may be shorter.

    `itertools.batched` needs Python 3.12 and yields tuples.
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]
