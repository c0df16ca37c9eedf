from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.retries import MAX_RETRY_AFTER_S, Backoff, retry_after_from_headers

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 01 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 01 Nov 2099 11:00:00 GMT"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "999999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_from_headers(headers, now=lambda: NOW) == expected


def test_a_date_counts_from_the_real_clock_by_default() -> None:
    wait = retry_after_from_headers(
        {"retry-after": format_datetime(datetime.fromtimestamp(4_000_000_000, UTC), usegmt=True)}
    )
    assert wait == MAX_RETRY_AFTER_S


@given(st.text(max_size=40))
def test_no_header_crashes_the_parser(value: str) -> None:
    wait = retry_after_from_headers({"retry-after": value, "retry-after-ms": value})
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER_S


def test_the_ceiling_doubles_until_it_is_reached() -> None:
    backoff = Backoff(base_s=1.0, ceiling_s=5.0, jitter=lambda: 1.0)
    assert [backoff.wait(failures) for failures in (1, 2, 3, 4, 2000)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_retry_after_is_the_minimum_wait() -> None:
    assert Backoff(jitter=lambda: 0.0).wait(1, retry_after=3.0) == 3.0
    assert Backoff(base_s=8.0, jitter=lambda: 1.0).wait(1, retry_after=3.0) == 8.0


@given(st.integers(min_value=1, max_value=100))
def test_jitter_stays_below_the_ceiling(failures: int) -> None:
    assert 0.0 <= Backoff().wait(failures) <= 20.0
