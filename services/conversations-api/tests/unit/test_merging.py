"""What a bulk request does with rows that are there already, and with those that it has twice."""

from datetime import date
from types import SimpleNamespace
from typing import Any

from conversations_api.conversations.merging import OTHER_FIELDS, merge
from hypothesis import given
from hypothesis import strategies as st
from mh_common.models import EDITABLE_DETAILS, ConversationCreate, RowOutcome, Sentiment
from mh_common.text import content_hash

ADDED, UPDATED, SKIPPED = RowOutcome.ADDED, RowOutcome.UPDATED, RowOutcome.SKIPPED


def row(question: str, sentiment: str = "neutral", **details: Any) -> ConversationCreate:
    sentiments = {"question_sentiment": sentiment, "answer_sentiment": "neutral"}
    return ConversationCreate.model_validate({"question": question, "answer": "a", **sentiments, **details})


def stored(key: int, of: ConversationCreate) -> SimpleNamespace:
    return SimpleNamespace(id=key, **dict(of))


def run(
    rows: list[ConversationCreate], known: dict[str, SimpleNamespace], *, update: bool
) -> tuple[list[RowOutcome], list[int], list[ConversationCreate], dict[int, dict[str, Any]]]:
    """Return outcomes, ids (of new ones from 100), what is added, and the fields that change."""
    hashes = [content_hash(one.question, one.answer) for one in rows]
    work = merge(rows, hashes, {content_hash(name, "a"): one for name, one in known.items()}, update=update)
    before = {one.id: one for one in known.values()}
    changes = {
        key: {name: value for name, value in values.items() if getattr(before[key], name) != value}
        for key, values in work.changed.items()
    }
    assert all(tuple(values) == OTHER_FIELDS for values in work.changed.values())
    return work.outcomes, work.ids(range(100, 100 + len(work.added))), work.added, changes


def test_what_is_there_is_skipped_and_so_is_what_comes_twice() -> None:
    rows = [row("new"), row("known", category="x"), row("new", category="y"), row("other")]
    outcomes, ids, added, changes = run(rows, {"known": stored(7, row("known"))}, update=False)
    assert outcomes == [ADDED, SKIPPED, SKIPPED, ADDED]
    assert ids == [100, 7, 100, 101]
    assert (added, changes) == ([rows[0], rows[3]], {})


def test_an_update_takes_what_the_file_gives_and_keeps_the_rest() -> None:
    before = stored(7, row("known", "positive", category="sleep", author="Jane", source_date="2021-01-01"))
    given_ = row("known", "negative", category="panic", source_date="2021-01-01")
    outcomes, ids, added, changes = run([given_], {"known": before}, update=True)
    assert (outcomes, ids, added) == ([UPDATED], [7], [])
    assert changes == {7: {"question_sentiment": Sentiment.NEGATIVE, "category": "panic"}}
    same = row("known", "positive", category="sleep")
    assert run([same], {"known": before}, update=True) == ([SKIPPED], [7], [], {})


def test_of_equal_rows_in_a_request_the_later_ones_go_before() -> None:
    rows = [row("known", category="a", author="Jane"), row("new", category="a"), row("known", category="b")]
    rows.append(row("new", "positive", source_date="2021-01-01"))
    outcomes, ids, added, changes = run(rows, {"known": stored(7, row("known"))}, update=True)
    assert (outcomes, ids) == ([UPDATED, ADDED, SKIPPED, SKIPPED], [7, 100, 7, 100])
    assert changes == {7: {"category": "b", "author": "Jane"}}
    assert added == [row("new", "positive", category="a", source_date=date(2021, 1, 1))]


def test_every_field_but_the_texts_is_taken() -> None:
    assert set(OTHER_FIELDS) == {"question_sentiment", "answer_sentiment", *EDITABLE_DETAILS}


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=30), st.sets(st.sampled_from("abcde")), st.booleans())
def test_every_content_is_there_once_afterwards(names: list[str], there: set[str], update: bool) -> None:
    known = {name: stored(number, row(name)) for number, name in enumerate(sorted(there))}
    outcomes, ids, added, _ = run([row(name, category=name) for name in names], known, update=update)
    assert [one.question for one in added] == list(dict.fromkeys(name for name in names if name not in there))
    assert outcomes.count(ADDED) == len(added)
    assert outcomes.count(UPDATED) == (len(set(names) & there) if update else 0)
    # Rows of the same content get the same id, and others do not.
    assert len(set(zip(names, ids, strict=True))) == len(set(names)) == len(set(ids))
