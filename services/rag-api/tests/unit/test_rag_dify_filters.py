"""Dify's metadata conditions as Milvus expressions: whatever a caller sends, only known tokens get in."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mh_common.errors import InvalidRequestError
from mh_common.models import MAX_ID
from pydantic import ValidationError
from rag_api.integrations.dify.filters import to_condition
from rag_api.integrations.dify.models import MetadataCondition
from rag_api.search.filters import to_milvus_expression

SENTIMENT = '"(?:positive|negative|neutral)"'
LEAF = (
    rf"(?:(?:question|answer)_sentiment (?:not )?in \[{SENTIMENT}(?:, {SENTIMENT})*\]"
    r"|(?:created_at|updated_at|id) (?:<|<=|>|>=) -?\d{1,18}\d?"
    r"|id (?:not )?in \[\d{1,19}(?:, \d{1,19})*\])"
)
OPERATORS = [
    "contains", "not contains", "start with", "end with", "is", "is not", "in", "not in", "empty", "not empty",
    "=", "≠", ">", "<", "≥", "≤", "before", "after", "null", "not null",
]  # fmt: skip
NAMES = ["question_sentiment", "answer_sentiment", "created_at", "updated_at", "id"]
scalars = st.one_of(
    st.text(max_size=15),
    st.sampled_from(["negative", "2026-03-01", "1", '"] or id > 0 or id in [1', "positive\" or ''", "1) or (id > 0"]),
    st.integers(),
    st.floats(),
    st.integers(0, MAX_ID),
)
anything = st.recursive(
    st.one_of(scalars, st.none(), st.booleans()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
conditions = st.fixed_dictionaries(
    {
        "name": st.one_of(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=2), anything),
        "comparison_operator": st.one_of(st.sampled_from(OPERATORS), st.text(max_size=10)),
        "value": anything,
    }
)


@given(st.lists(conditions, max_size=3), st.sampled_from(["and", "or", None]))
@example([{"name": "id", "comparison_operator": "in", "value": ["1", "2] or id in [3"]}], "and")
@example([{"name": "created_at", "comparison_operator": "≤", "value": "9999"}], "or")
@example([{"name": "created_at", "comparison_operator": "≥", "value": -62_135_596_800}], "or")
def test_no_text_escapes_its_literal(given_conditions: list[dict[str, object]], logical: str | None) -> None:
    try:
        condition = to_condition(
            MetadataCondition.model_validate({"logical_operator": logical, "conditions": given_conditions})
        )
    except (ValidationError, InvalidRequestError):
        return
    bare = re.sub(LEAF, "leaf", to_milvus_expression(condition))
    assert re.fullmatch(r"(?:leaf|[()]| and | or )*", bare), bare


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_is_supported_by_some_field(operator: str) -> None:
    def suits(name: str, value: str) -> bool:
        condition = {"name": name, "comparison_operator": operator, "value": value}
        try:
            to_condition(MetadataCondition.model_validate({"conditions": [condition]}))
        except InvalidRequestError:
            return False
        return True

    assert any(suits(*pair) for pair in [("question_sentiment", "negative"), ("id", "1"), ("created_at", "2026")])
