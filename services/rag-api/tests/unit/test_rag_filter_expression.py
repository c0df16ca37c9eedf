"""Filters in Milvus's language."""

import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from mh_common.models import Sentiment
from rag_api.search.repository import Filters, expression

moments = st.none() | st.datetimes(timezones=st.timezones())
sentiments = st.none() | st.lists(st.sampled_from(Sentiment), min_size=1)

CONDITION = (
    r'((question|answer)_sentiment in \["(positive|negative|neutral)"(, "(positive|negative|neutral)")*\]'
    r"|(created|updated)_at (>=|<) -?\d{1,18}"
    r"|id in \[\d{1,19}(, \d{1,19})*\])"
)


def test_no_filters_are_the_empty_expression() -> None:
    assert expression(Filters()) == ""


def test_all_filters() -> None:
    filters = Filters(
        question_sentiment=[Sentiment.NEGATIVE, Sentiment.NEUTRAL],
        answer_sentiment=[Sentiment.POSITIVE],
        created_after=datetime(1970, 1, 1, 0, 0, 1, 5, UTC),
        created_before=datetime(1970, 1, 1, 2, 0, 0, 0, timezone(timedelta(hours=2))),
        updated_after=datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        updated_before=datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
        ids=[3, 2**63 - 1],
    )
    assert expression(filters) == (
        'question_sentiment in ["negative", "neutral"] and answer_sentiment in ["positive"]'
        " and created_at >= 1000005 and created_at < 0 and updated_at >= -1 and updated_at < 253402300799999999"
        " and id in [3, 9223372036854775807]"
    )


@given(
    st.builds(
        Filters,
        question_sentiment=sentiments,
        answer_sentiment=sentiments,
        created_after=moments,
        created_before=moments,
        updated_after=moments,
        updated_before=moments,
        ids=st.none() | st.lists(st.integers(1, 2**63 - 1), min_size=1),
    )
)
def test_only_enum_members_integers_and_operators_go_in(filters: Filters) -> None:
    assert re.fullmatch(rf"({CONDITION}( and {CONDITION})*)?", expression(filters))
