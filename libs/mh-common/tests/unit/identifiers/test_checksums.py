"""Check digits."""

from collections.abc import Callable

import pytest
from mh_common.identifiers import checksums


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (checksums.is_card, "4111 1111 1111 1111"),
        (checksums.is_npi, "1234567893"),
        (checksums.is_dea, "AB1234563"),
        (checksums.is_iban, "DE89370400440532013000"),
        (checksums.is_iban, "GB82 WEST 1234 5698 7654 32"),
        (checksums.is_vin, "1M8GDM9AXKP042788"),
        (checksums.is_spanish_id, "12345678Z"),
        (checksums.is_spanish_id, "X1234567L"),
    ],
)
def test_a_changed_digit_is_noticed(check: Callable[[str], bool], right: str) -> None:
    assert check(right)
    for place, character in enumerate(right):
        if character.isdigit() and check is not checksums.is_card:
            assert not check(f"{right[:place]}{(int(character) + 1) % 10}{right[place + 1 :]}")
