"""The relay's delays after failures."""

import pytest
from conversations_api.outbox.relay import FIRST_BACKOFF, backoff


@pytest.mark.parametrize("failures", [1, 2, 5, 100, 100_000])
def test_delays_grow_up_to_the_maximum_and_never_drop_to_zero(failures: int) -> None:
    ceiling = min(30.0, FIRST_BACKOFF * 2.0 ** min(failures - 1, 100))

    for _ in range(100):
        assert ceiling / 2 <= backoff(failures, longest=30.0) <= ceiling


def test_relays_that_failed_together_do_not_retry_together() -> None:
    assert len({backoff(5, longest=30.0) for _ in range(10)}) > 1
