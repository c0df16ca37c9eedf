"""How claimed rows are split into messages."""

from itertools import pairwise

from conversations_api.outbox.relay import messages
from conversations_api.outbox.repository import ClaimedRow
from hypothesis import given
from hypothesis import strategies as st
from mh_common.jobs import MAX_JOB_UNITS, IndexJob
from mh_common.units import conversation_unit

RUNS = st.lists(st.tuples(st.sampled_from(IndexJob), st.integers(1, 3 * MAX_JOB_UNITS)), max_size=8)


def rows_of(runs: list[tuple[IndexJob, int]]) -> list[ClaimedRow]:
    jobs = [job for job, length in runs for _ in range(length)]
    return [
        ClaimedRow(id=number, unit=conversation_unit(number % 50), job=job) for number, job in enumerate(jobs, start=1)
    ]


@given(RUNS)
def test_messages_hold_every_row_once_in_order(runs: list[tuple[IndexJob, int]]) -> None:
    rows = rows_of(runs)

    assert [row for message in messages(rows) for row in message] == rows


@given(RUNS)
def test_a_message_is_one_job_of_at_most_64_rows(runs: list[tuple[IndexJob, int]]) -> None:
    for message in messages(rows_of(runs)):
        assert 1 <= len(message) <= MAX_JOB_UNITS
        assert len({row.job for row in message}) == 1


@given(RUNS)
def test_there_is_no_more_than_one_short_message_for_each_run_of_a_job(runs: list[tuple[IndexJob, int]]) -> None:
    for message, following in pairwise(messages(rows_of(runs))):
        assert len(message) == MAX_JOB_UNITS or message[0].job != following[0].job
