"""Cutting a sequence into parts."""

import pytest
from mh_common.batches import batched


@pytest.mark.parametrize(
    ("items", "parts"),
    [([], []), ([1], [[1]]), ([1, 2], [[1, 2]]), ([1, 2, 3, 4, 5], [[1, 2], [3, 4], [5]])],
)
def test_every_item_is_in_one_part_in_order_and_only_the_last_part_is_shorter(
    items: list[int], parts: list[list[int]]
) -> None:
    assert list(batched(items, 2)) == parts


def test_a_part_is_of_the_kind_that_was_cut() -> None:
    assert list(batched("abc", 2)) == ["ab", "c"]
    assert list(batched(range(3), 2)) == [range(2), range(2, 3)]
