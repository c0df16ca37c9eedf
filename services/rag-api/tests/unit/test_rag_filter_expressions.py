"""Conditions as Milvus expressions: whatever a caller sends, only known tokens get in."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common import vector_index as fields
from mh_common.models import SearchRequest, Sentiment
from mh_common.stemming import words_of
from rag_api.search.filters import (
    MATCH_NOTHING,
    And,
    Compare,
    Condition,
    In,
    Not,
    Or,
    Phrase,
    Substring,
    condition_from_request,
    is_empty,
    to_milvus_expression,
    unresolved_leaves,
)

SENTIMENT = '"(?:positive|negative|neutral)"'
LEAF = (
    rf"(?:(?:question|answer)_sentiment (?:not )?in \[{SENTIMENT}(?:, {SENTIMENT})*\]"
    r"|(?:created_at|updated_at|id|question_hash) (?:<|<=|>|>=) -?\d{1,20}"
    r"|(?:id|question_hash) (?:not )?in \[\d{1,19}(?:, \d{1,19})*\]"
    # No ASCII but letters and digits, so nothing that ends the literal or is a wildcard.
    r'|words like "% (?:[a-z0-9]|[^\x00-\x7f\s])+(?: (?:[a-z0-9]|[^\x00-\x7f\s])+)* %")'
)

numbers = st.integers(0, 2**63 - 1)
phrases = (
    st.text(min_size=1)
    .map(lambda text: Phrase(tuple(word.stem for word in words_of(text))))
    .filter(lambda phrase: bool(phrase.stems))
)
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(
        In,
        st.sampled_from([fields.QUESTION_SENTIMENT, fields.ANSWER_SENTIMENT]),
        st.lists(st.sampled_from(Sentiment)),
        st.booleans(),
    ),
    st.builds(In, st.sampled_from([fields.ID, fields.QUESTION_HASH]), st.lists(numbers), st.booleans()),
    st.builds(
        Compare, st.sampled_from([fields.CREATED_AT, fields.ID]), st.sampled_from(["<", "<=", ">", ">="]), numbers
    ),
    phrases,
)
conditions = st.recursive(
    leaves, lambda parts: st.builds(And, st.lists(parts)) | st.builds(Or, st.lists(parts)), max_leaves=12
)


def test_no_conditions_give_an_empty_expression() -> None:
    assert to_milvus_expression(condition_from_request(SearchRequest(query="x"))) == ""


def test_all_filters_of_a_request() -> None:
    request = SearchRequest(
        query="x",
        question_sentiment=[Sentiment.NEGATIVE, Sentiment.NEUTRAL],
        answer_sentiment=[Sentiment.POSITIVE],
        created_after=datetime(1970, 1, 1, 0, 0, 1, 5, UTC),
        created_before=datetime(1970, 1, 1, 2, 0, 0, 0, timezone(timedelta(hours=2))),
        updated_after=datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        updated_before=datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
        ids=[3, 2**63 - 1],
    )
    assert to_milvus_expression(condition_from_request(request)) == (
        '(question_sentiment in ["negative", "neutral"]) and (answer_sentiment in ["positive"])'
        " and (created_at >= 1000005) and (created_at < 0) and (updated_at >= -1)"
        " and (updated_at < 253402300799999999) and (id in [3, 9223372036854775807])"
    )


@given(conditions)
def test_expressions_contain_only_known_tokens(condition: Condition) -> None:
    bare = re.sub(LEAF, "leaf", to_milvus_expression(condition))
    assert re.fullmatch(r"(?:leaf|[()]| and | or )*", bare), bare


@pytest.mark.parametrize("stem", ['a"', "a\\", "%", "a_b", "a b", "a\n", ""])
def test_what_could_end_a_literal_is_no_stem(stem: str) -> None:
    with pytest.raises(ValueError, match="stems"):
        to_milvus_expression(Phrase((stem,)))


@pytest.mark.parametrize(
    ("condition", "written"),
    [
        (MATCH_NOTHING, "id < 0"),
        (In(fields.ID, (), negated=True), ""),
        (Or(()), "id < 0"),
        (Or((And(()), MATCH_NOTHING)), ""),
        (And((And(()), MATCH_NOTHING)), "id < 0"),
        (Or((MATCH_NOTHING, Compare(fields.ID, ">", 7))), "(id < 0) or (id > 7)"),
        (Phrase(("panic", "attack")), 'words like "% panic attack %"'),
    ],
)
def test_empty_conditions_match_all_or_nothing(condition: Condition, written: str) -> None:
    assert to_milvus_expression(condition) == written


@pytest.mark.parametrize(("join", "word"), [(And, "and"), (Or, "or")])
@pytest.mark.parametrize("count", [1, 8, 9, 50, 1000])
def test_many_operands_are_nested_in_a_shallow_tree(join: type[And | Or], word: str, count: int) -> None:
    written = to_milvus_expression(join([Compare(fields.ID, ">", number) for number in range(count)]))
    assert [int(number) for number in re.findall(r"\d+", written)] == list(range(count))
    assert set(re.findall("and|or", written)) <= {word}
    levels = 0
    while "(" in written:
        groups = re.findall(r"\(([^()]*)\)", written)
        assert all(len(group.split(f" {word} ")) <= 8 for group in groups)
        written = re.sub(r"\([^()]*\)", "x", written)
        levels += 1
    assert len(written.split(f" {word} ")) <= 8
    assert levels <= 8


@pytest.mark.parametrize(
    "condition",
    [
        Phrase(()),
        Phrase(('a" or id > 0 or words like "',)),
        Phrase(("100%",)),
        In(fields.QUESTION_SENTIMENT, ['negative"']),
        In("question", [1]),
        Compare(fields.WORDS, "<", 1),
    ],
)
def test_invalid_values_are_rejected(condition: Condition) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_milvus_expression(condition)


def test_negations_must_be_resolved_first() -> None:
    dog, cat = Phrase(("dog",)), Phrase(("cat",))
    condition = And((Not(dog), Or((Not(cat), dog))))
    assert unresolved_leaves(condition) == {dog, cat}
    with pytest.raises(TypeError, match="replaced"):
        to_milvus_expression(condition)


texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)


@given(st.lists(texts | texts.map(lambda text: f'{text}"] or id > 0 or author in ["\\'), min_size=1, max_size=3))
def test_no_text_terminates_its_literal(values: list[str]) -> None:
    written = to_milvus_expression(In("category", values, negated=True))
    literals = re.findall(r'"((?:[^"\\]|\\["\\])*)"', written)
    assert [re.sub(r"\\(.)", r"\1", literal, flags=re.DOTALL) for literal in literals] == values
    assert re.sub(r'"(?:[^"\\]|\\["\\])*"', "text", written) == f"category not in [{', '.join(['text'] * len(values))}]"


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "\u2028", "\x7f"])
def test_control_characters_are_rejected(text: str) -> None:
    for condition in (In("category", [text]), Substring("category", text)):
        with pytest.raises(ValueError, match="control"):
            to_milvus_expression(condition)


@pytest.mark.parametrize(
    ("condition", "written"),
    [
        (Substring("category", 'a"b'), 'category like "%a\\"b%"'),
        (Substring("category", "ab", "start"), 'category like "ab%"'),
        (Substring("category", "ab", "end"), 'category like "%ab"'),
        (Substring("category", "a_bcd%").superset, 'category like "%bcd%"'),
        (Substring("category", "%_\\").superset, 'category not in [""]'),
        (Compare("source_date", "<", 5), "(source_date > 0) and (source_date < 5)"),
        (is_empty("source_date", negated=False), "source_date in [0]"),
        (is_empty("category", negated=True), 'category not in [""]'),
        (is_empty("created_at", negated=False), "id < 0"),
    ],
)
def test_texts_and_days(condition: Condition, written: str) -> None:
    assert to_milvus_expression(condition) == written


def test_substrings_with_wildcards_must_be_resolved_first() -> None:
    part = Substring("category", "100%")
    assert unresolved_leaves(And([part, Substring("category", "a")])) == {part}
    with pytest.raises(TypeError, match="replaced"):
        to_milvus_expression(part)
