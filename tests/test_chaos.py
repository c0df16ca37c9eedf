"""The chaos tests: a seed determines the plan, the oracle detects each kind of violation, and a run reports it."""

import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_client import Conversation, ConversationCreate, IndexStatus, Sentiment
from mh_devtools.chaos.__main__ import COMMIT_SEED, seeds
from mh_devtools.chaos.oracle import Oracle, Shown, Verdict, mark_of
from mh_devtools.chaos.plan import WINDOW_S, Kind, make_plan
from mh_devtools.chaos.verify import Stored, Vector, differences
from mh_devtools.stubs.openai_stub import embedding

AT = datetime(2026, 3, 2, tzinfo=UTC)


@given(st.integers(), st.sampled_from([0.05, 0.5, 1.0]))
def test_a_seed_makes_the_same_plan_at_every_scale(seed: int, scale: float) -> None:
    plan, whole = make_plan(seed, scale), make_plan(seed, 1.0)
    assert plan == make_plan(seed, scale)
    assert [(fault.kind, fault.target) for fault in plan.faults] == [(one.kind, one.target) for one in whole.faults]
    assert plan.end >= WINDOW_S * scale


@given(st.integers())
def test_a_target_has_one_fault_at_a_time(seed: int) -> None:
    ends: dict[str, float] = {}
    for fault in make_plan(seed, 1.0).faults:
        assert fault.at > ends.get(fault.target, -1)
        ends[fault.target] = fault.end


def test_twenty_seeds_meet_every_kind_of_fault_with_and_without_lost_messages() -> None:
    plans = [make_plan(seed, 1.0) for seed in range(1, 21)]
    assert {fault.kind for plan in plans for fault in plan.faults} == set(Kind)
    assert {plan.loses_messages for plan in plans} == {True, False}


def test_a_commit_runs_seeds_of_its_own_and_those_that_ever_failed() -> None:
    given = seeds(COMMIT_SEED, 6)
    assert {3, 40, 92, 266} <= set(given[:-6])
    drawn = given[-6:]
    assert drawn == list(range(drawn[0], drawn[0] + 6)) == seeds(str(drawn[0]), 6)


def new(mark: str) -> ConversationCreate:
    return ConversationCreate(
        question="A question",
        answer=f"An answer [{mark}].",
        question_sentiment=Sentiment.NEUTRAL,
        answer_sentiment=Sentiment.NEUTRAL,
    )


def stored(mark: str, version: int, key: int = 1) -> Conversation:
    content = new(mark).model_dump()
    status = IndexStatus.PENDING
    return Conversation(id=key, version=version, created_at=AT, updated_at=AT, index_status=status, **content)


def shown(mark: str, version: int | None = None, key: int = 1, question: str = "A question") -> Shown:
    return Shown(key, question, new(mark).answer, version)


@pytest.fixture
def oracle() -> Oracle:
    """An oracle with row 1, of which two versions were acknowledged: w1 and w2."""
    oracle = Oracle()
    oracle.creating([new("w1")])
    oracle.created([1], [new("w1")])
    change(oracle, "w2", 2)
    return oracle


def change(oracle: Oracle, mark: str, version: int) -> None:
    oracle.changing(1, mark)
    oracle.changed(mark, stored(mark, version))


def verdicts(oracle: Oracle) -> list[Verdict]:
    return [verdict for verdict, _ in oracle.violations]


def test_what_was_acknowledged_last_may_be_shown(oracle: Oracle) -> None:
    oracle.check_shown("a search", oracle.now(), shown("w2"))
    assert verdicts(oracle) == []


def test_an_older_text_is_stale_only_for_who_asked_after_the_newer_was_acknowledged(oracle: Oracle) -> None:
    since = oracle.now()
    change(oracle, "w3", 3)
    oracle.check_shown("a search", since, shown("w2"))
    assert verdicts(oracle) == []
    oracle.check_shown("a search", oracle.now(), shown("w2"))
    assert verdicts(oracle) == [Verdict.STALE]


def test_a_row_is_a_ghost_only_for_who_asked_after_its_delete_was_acknowledged(oracle: Oracle) -> None:
    since = oracle.now()
    oracle.deleting([1])
    oracle.deleted([1])
    oracle.check_shown("a search", since, shown("w2"))
    assert verdicts(oracle) == []
    oracle.check_shown("a search", oracle.now(), shown("w2"))
    assert verdicts(oracle) == [Verdict.GHOST]


def test_a_write_of_unknown_outcome_may_be_shown_or_not(oracle: Oracle) -> None:
    oracle.changing(1, "w3")
    oracle.unknown()
    for mark in ("w2", "w3"):
        oracle.check_shown("a search", oracle.now(), shown(mark))
    oracle.check_stored([shown("w3", 3)])
    oracle.check_stored([shown("w2", 2)])
    assert verdicts(oracle) == []


@pytest.mark.parametrize(
    "lie",
    [shown("w9"), shown("w2", question="Another"), shown("w2", key=7)],
    ids=["an unknown text", "a mixture of versions", "an unknown row"],
)
def test_what_nobody_wrote_is_seen(oracle: Oracle, lie: Shown) -> None:
    oracle.check_shown("a search", oracle.now(), lie)
    assert verdicts(oracle) == [Verdict.FOREIGN]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([], Verdict.LOST),
        ([shown("w1", 1)], Verdict.LOST),
        ([shown("w1", 2)], Verdict.LOST),
        ([shown("w2", 3)], Verdict.FOREIGN),
        ([shown("w2", 2), shown("w1", 1, key=2)], Verdict.DUPLICATED),
    ],
    ids=["the row is gone", "a write is gone", "a write has another text", "a version too many", "a write done twice"],
)
def test_what_is_stored_in_the_end_must_be_what_was_acknowledged(
    oracle: Oracle, rows: list[Shown], verdict: Verdict
) -> None:
    oracle.check_stored([shown("w2", 2)])
    assert verdicts(oracle) == []
    oracle.check_stored(rows)
    assert verdicts(oracle) == [verdict]


def test_a_delete_must_not_be_undone_and_nothing_vanishes_by_itself(oracle: Oracle) -> None:
    oracle.absent(1)
    assert verdicts(oracle) == [Verdict.LOST]
    oracle.check_stored([shown("w2", 2)])
    assert len(verdicts(oracle)) == 2


def test_a_creation_of_unknown_outcome_makes_one_row_or_none(oracle: Oracle) -> None:
    oracle.creating([new("w5")])
    oracle.check_stored([shown("w2", 2), shown("w5", 1, key=2)])
    assert verdicts(oracle) == []
    oracle.check_stored([shown("w2", 2), shown("w5", 1, key=2), shown("w5", 1, key=3)])
    assert verdicts(oracle) == [Verdict.DUPLICATED]


def test_marks_are_found_in_texts() -> None:
    assert mark_of("Some words [w7.u1.12].") == "w7.u1.12"
    assert mark_of("Some words.") is None


def vector(key: int = 1, version: int = 2, question: str = "A question", length: int = 32) -> Vector:
    return Vector(key, version, question, tuple(embedding("A question", length, bag_of_words=True)))


@pytest.mark.parametrize(
    ("vectors", "told"),
    [
        ([], "lacks 1"),
        ([vector(), vector(key=2)], "still has 2"),
        ([vector(), vector()], "more than one row of 1"),
        ([vector(version=1)], "another version of 1"),
        ([vector(question="Another")], "another text of 1"),
        ([vector(length=33)], "wrong vector of 1"),
    ],
)
def test_each_difference_between_index_and_database_is_named(vectors: list[Vector], told: str) -> None:
    rows, indexed = [shown("w2", 2)], Counter({IndexStatus.INDEXED: 1})
    assert list(differences(Stored(rows, 0, indexed, [vector()]))) == []
    [(_, evidence)] = differences(Stored(rows, 0, indexed, vectors))
    assert told in evidence


def test_what_is_owed_pending_or_without_state_is_a_difference() -> None:
    rows = [shown("w2", 2)]
    found = [evidence for _, evidence in differences(Stored(rows, 3, Counter(), [vector()]))]
    assert found == ["3 outbox rows were not delivered", "1 conversations have 0 index states"]
    pending = Counter({IndexStatus.PENDING: 1})
    assert [evidence for _, evidence in differences(Stored(rows, 0, pending, [vector()]))] == [
        "1 index states say pending"
    ]


BLIND = """
from mh_devtools.chaos import __main__, run, verify
read_vectors = verify.read_vectors
verify.read_vectors = lambda stack: read_vectors(stack)[1:]
run.CONVERGENCE_S = 2.0
__main__.main()
"""
"""The harness, kept from seeing one row of the index."""


def run_chaos(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run as `make chaos` does, but from an empty folder."""
    command = [sys.executable, *arguments, "--scale", "0.05"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.xdist_group("load")
@pytest.mark.e2e
@pytest.mark.mysql
@pytest.mark.redis
@pytest.mark.timeout(300)
def test_a_short_run_finds_nothing_wrong(tmp_path: Path) -> None:
    done = run_chaos(tmp_path, "-m", "mh_devtools.chaos", "--seed", "1", "--runs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"writes acknowledged +[1-9]", done.stdout)
    assert re.search(r"rows shown to readers +[1-9]", done.stdout)
    assert "time to converge, p50 / max" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.xdist_group("load")
@pytest.mark.e2e
@pytest.mark.mysql
@pytest.mark.redis
@pytest.mark.timeout(300)
def test_a_difference_ends_the_runs_with_the_seed_the_logs_and_the_command_that_repeats_it(tmp_path: Path) -> None:
    done = run_chaos(tmp_path, "-c", BLIND, "--seed", "3", "--runs", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "seed 4" not in done.stdout
    assert re.search(r"diverged +[1-9]", done.stdout)
    assert "the index lacks" in done.stderr
    assert "make chaos RUNS=1 SEED=3 SCALE=0.05" in done.stderr
    logs = tmp_path / "var" / "chaos" / "seed-3"
    assert {"api-1.log", "worker-2.log", "redis.log", "run.txt"} <= {file.name for file in logs.iterdir()}
