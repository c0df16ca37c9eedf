"""The query syntax of the search box."""

import re
from datetime import UTC, datetime

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from mh_common import vector_index as fields
from mh_common.field_values import to_microseconds
from mh_common.models import Sentiment
from rag_api.search.filters import (
    And,
    Compare,
    Condition,
    In,
    Not,
    Phrase,
    to_milvus_expression,
    unresolved_leaves,
)
from rag_api.search.periods import parse_period
from rag_api.search.query_parser import MAX_CONDITIONS, QuerySyntaxError, parse_query


def at(*moment: int) -> int:
    return to_microseconds(datetime(*moment, tzinfo=UTC))  # type: ignore[arg-type,misc]


CREATED, UPDATED = fields.CREATED_AT, fields.UPDATED_AT
NEGATIVE = In(fields.QUESTION_SENTIMENT, [Sentiment.NEGATIVE])
END = 253_402_300_800_000_000


@pytest.mark.parametrize(
    ("query", "text", "conditions"),
    [
        (
            "panic attacks question_sentiment:negative created_at<=2024-01-01",
            "panic attacks",
            [NEGATIVE, Compare(CREATED, "<", at(2024, 1, 2))],
        ),
        ("question_sentiment:negative panic", "panic", [NEGATIVE]),
        ("panic Question_Sentiment : Negative", "panic", [NEGATIVE]),
        (
            "x answer_sentiment=positive,neutral",
            "x",
            [In(fields.ANSWER_SENTIMENT, [Sentiment.POSITIVE, Sentiment.NEUTRAL])],
        ),
        ("x -question_sentiment:negative", "x", [In(fields.QUESTION_SENTIMENT, [Sentiment.NEGATIVE], True)]),
        ("x id:1,2,3", "x", [In(fields.ID, [1, 2, 3])]),
        ("x -id:7", "x", [In(fields.ID, [7], True)]),
        ("x id>=5 id<9", "x", [Compare(fields.ID, ">=", 5), Compare(fields.ID, "<", 9)]),
        ('a "panic attacks" b', "a panic attacks b", [Phrase(("panic", "attack"))]),
        ('a -"Panic, attack!" b', "a b", [Not(Phrase(("panic", "attack")))]),
        ("dog -fireworks -can't", "dog", [Not(Phrase(("firework",))), Not(Phrase(("can", "t")))]),
        (
            "x created_at:2026-03",
            "x",
            [And([Compare(CREATED, ">=", at(2026, 3, 1)), Compare(CREATED, "<", at(2026, 4, 1))])],
        ),
        ("x created_at>2026-02-28", "x", [Compare(CREATED, ">=", at(2026, 3, 1))]),
        ("x created_at>=2026", "x", [Compare(CREATED, ">=", at(2026, 1, 1))]),
        ("x updated_at < 2026", "x", [Compare(UPDATED, "<", at(2026, 1, 1))]),
        ("x updated_at<=2026-12", "x", [Compare(UPDATED, "<", at(2027, 1, 1))]),
        ("x updated_at<=9999", "x", [Compare(UPDATED, "<", END)]),
        ("x updated_at>2026-03-01T12:00+02:00", "x", [Compare(UPDATED, ">=", at(2026, 3, 1, 10) + 1)]),
        ("x updated_at<=2026-03-01T12:00:00.5z", "x", [Compare(UPDATED, "<", at(2026, 3, 1, 12) + 500_001)]),
    ],
)
def test_phrases_excluded_words_and_filters(query: str, text: str, conditions: list[Condition]) -> None:
    parsed = parse_query(query)
    assert parsed.text == text
    assert parsed.condition == And(conditions)


@pytest.mark.parametrize(
    "query",
    [
        "Re: my mother",
        "note: she cries at 10:30 every night",
        "https://example.org/a?b=c",
        "see:) or :-( or ;-)",
        "I:me",
        "follow-up, self-harm - and 5-10 times",
        "a -- b",
        'an unclosed "quote of hers',
        'My client says "I am lost", "so lost" and looks at me as if I knew the way',
        "5<6 and x=y",
        "minus -5 degrees",
        "  kept   as it is ",
        "Ratio 3:1; B:c",
    ],
)
def test_text_that_resembles_a_filter_stays_text(query: str) -> None:
    parsed = parse_query(query)
    assert parsed.text == query
    assert parsed.condition == And([])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "sad mood:low",
            "There is no filter named mood. The filters are question_sentiment, answer_sentiment, created_at, ",
        ),
        ("sad sentiment=negative", "There is no filter named sentiment."),
        ("x question_sentiment:angry", "question_sentiment must be one of positive, negative, neutral"),
        ("x question_sentiment:", "question_sentiment must be one of"),
        ("x question_sentiment>negative", "question_sentiment must be followed by a colon"),
        ("x created_at:yesterday", "created_at must be a year, a month, a day or a time with a time zone"),
        ("x created_at<2026-02-30", "created_at must be a year"),
        ("x created_at>2026-03-01T12:00", "a time with a time zone"),
        ("x -created_at>2026", "use the opposite operator"),
        ("x -id>7", "use the opposite operator"),
        ("x id:one", "id must be a number"),
        ("x id:99999999999999999999", "id must be a number"),
        ("question_sentiment:negative", "Add search terms"),
        ("-dog", "Add search terms"),
        ("x " + "-a " * (MAX_CONDITIONS + 1), "at most"),
    ],
)
def test_syntax_errors_say_what_to_change(query: str, words: str) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        parse_query(query)
    assert words in str(refused.value)
    assert [problem.field for problem in refused.value.members["errors"]] == ["query"]


@pytest.mark.parametrize(
    "text", ["0000", "2026-13", "2026-00-01", "202", "2026-3-1", "\uff12\uff10\uff12\uff16", "2026-03-01T25:00Z", ""]
)
def test_invalid_periods(text: str) -> None:
    assert parse_period(text) is None


KNOWN = r'[()\[\], ]|and|or|not|in|like|words|id|(?:question|answer)_sentiment|(?:created|updated)_at|[<>]=?|-?\d+|""'

pieces = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["question_sentiment:", "created_at<=", "id:", '"', "-", "2026-01-01", "negative", " ", '" or id > 0']
    ),
)


@given(st.lists(pieces, max_size=12).map("".join))
@example('x -"a" "b" id:1')
@example('"0\u093a"')
def test_no_text_escapes_its_literal(query: str) -> None:
    try:
        parsed = parse_query(query)
    except QuerySyntaxError:
        return
    kept = And([part for part in parsed.condition.operands if not isinstance(part, Not)])
    for written in (
        to_milvus_expression(kept),
        *(to_milvus_expression(phrase) for phrase in unresolved_leaves(parsed.condition)),
    ):
        # Inside quotes letters with their marks, digits, spaces and the two wildcards; outside only known tokens.
        assert re.fullmatch(rf"(?:{KNOWN})*", regex.sub(r'"%? ?[\w\p{M} ]* ?%?"', '""', written)), written
