"""Client logic that needs no request."""

import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_client import (
    APIConnectionError,
    APITimeoutError,
    Client,
    FieldProblem,
    InvalidInputError,
    MHError,
    NotFoundError,
    Problem,
)
from mh_client._base import Call, RetryPolicy
from mh_common.retries import parse_retry_after


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    in_a_minute = format_datetime(now + timedelta(seconds=60), usegmt=True)
    assert parse_retry_after(in_a_minute, now.timestamp) == 60.0
    assert parse_retry_after(in_a_minute, (now + timedelta(hours=1)).timestamp) == 0.0
    assert parse_retry_after("1.5") == 1.5
    for unreadable in (None, "", "soon", "-1", "nan", "inf", "Fri, 99 Foo 2026"):
        assert parse_retry_after(unreadable) is None


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_delays_grow_up_to_a_limit(failures: int, jitter: float) -> None:
    policy = RetryPolicy(max_retries=10_000, jitter=lambda: jitter)
    call: Call[bytes] = Call(method="GET", path="/", parse=bytes)
    delay = policy.delay(call, APIConnectionError("gone"), failures)
    assert delay is not None
    assert 0 <= delay <= min(8.0, 0.5 * 2 ** min(failures - 1, 10))


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError(404, Problem(title="Not Found", status=404), "r-1", 2.0),
        InvalidInputError([FieldProblem(field="query", message="is empty")]),
        APITimeoutError("slow"),
    ],
)
def test_errors_can_be_pickled(error: MHError) -> None:
    # Our own pickle, as worker processes do it with exceptions.
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("url", ["platform:8080", "ftp://platform", "http://", "http://platform?x=1", "http://h#f"])
def test_an_invalid_url_is_rejected_at_once(url: str) -> None:
    with pytest.raises(InvalidInputError, match="base_url"):
        Client(url)
