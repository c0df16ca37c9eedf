"""Keys of units, their order, the status of a source, and how a job names units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.jobs import MAX_JOB_UNITS, job_arguments, job_units
from mh_common.units import (
    MAX_ID,
    MAX_ORDINAL,
    IndexStatus,
    UnitKey,
    before_first,
    conversation_units,
    last_key,
    preceding_key,
    status_of,
)
from pydantic import ValidationError

PENDING, INDEXED, FAILED = IndexStatus.PENDING, IndexStatus.INDEXED, IndexStatus.FAILED
NOTES = st.builds(UnitKey, st.just("note"), st.integers(1, MAX_ID), st.integers(0, MAX_ORDINAL))


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([INDEXED, PENDING, FAILED], FAILED),
        ([INDEXED, PENDING], PENDING),
        ([INDEXED, INDEXED], INDEXED),
        ([], INDEXED),
    ],
)
def test_a_source_is_as_far_as_the_last_of_its_units(states: list[IndexStatus], status: IndexStatus) -> None:
    assert status_of(states) is status


@given(NOTES, NOTES)
def test_keys_have_one_order_and_no_gaps(one: UnitKey, other: UnitKey) -> None:
    assert (one < other) == ((one.source_id, one.ordinal) < (other.source_id, other.ordinal))
    assert before_first("note") < one <= last_key("note")
    assert preceding_key(one) < one
    assert not preceding_key(one) < other < one


@given(st.lists(NOTES, min_size=1, max_size=MAX_JOB_UNITS))
def test_a_job_says_again_which_units_it_was_made_of(units: list[UnitKey]) -> None:
    assert job_units(job_arguments(units)) == units


def test_conversations_are_named_by_their_ids_alone() -> None:
    assert job_arguments(conversation_units([7, 9])) == {"ids": [7, 9]}
    assert job_units({"ids": [7, 9], "kind": None, "units": None}) == conversation_units([7, 9])
    assert job_units({"ids": 7}) == conversation_units([7])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"ids": []},
        {"ids": [0]},
        {"ids": ["1"]},
        {"kind": "note"},
        {"units": [[1, 0]]},
        {"kind": "Note", "units": [[1, 0]]},
        {"kind": "n" * 33, "units": [[1, 0]]},
        {"kind": "note", "units": []},
        {"kind": "note", "units": [[1]]},
        {"kind": "note", "units": [[0, 0]]},
        {"kind": "note", "units": [[1, -1]]},
        {"kind": "note", "units": [[1, True]]},
        {"kind": "note", "units": [[1, 0]] * 65},
        {"kind": "note", "units": [[1, 0]], "ids": [1]},
    ],
)
def test_what_names_no_units_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        job_units(arguments)
