"""Splitting a sequence into batches."""

import pytest
from mh_common.batches import batched


@pytest.mark.parametrize(
    ("items", "parts"),
    [([], []), ([1], [[1]]), ([1, 2], [[1, 2]]), ([1, 2, 3, 4, 5], [[1, 2], [3, 4], [5]])],
)
def test_batches_keep_the_order_and_only_the_last_one_is_shorter(items: list[int], parts: list[list[int]]) -> None:
    assert list(batched(items, 2)) == parts


def test_batches_have_the_type_of_the_sequence() -> None:
    assert list(batched("abc", 2)) == ["ab", "c"]
    assert list(batched(range(3), 2)) == [range(2), range(2, 3)]
