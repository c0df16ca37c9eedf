"""The registry of fields: whatever lists fields or filters explicitly lists them all."""

import pytest
from mh_common import vector_index
from mh_common.field_values import to_index_value
from mh_common.fields import FIELDS, FILTERS, NAMES, FoundAdvice, UnsafeAdvice
from mh_common.models import Conversation, ConversationCreate, ConversationUpdate, SearchHit, SearchRequest
from mh_common.models.search import SearchFilters
from mh_common.wording import join_names


def test_a_search_accepts_every_filter() -> None:
    assert list(SearchFilters.model_fields) == list(FILTERS)
    assert FILTERS.keys() < SearchRequest.model_fields.keys()


def test_filterable_fields_are_returned() -> None:
    assert set(NAMES) <= set(Conversation.model_fields)
    assert set(NAMES) <= set(SearchHit.model_fields)


def test_what_the_platform_finds_out_is_sent_by_nobody() -> None:
    derived = {field.name for field in FIELDS if field.derived}
    assert derived == {"risk_level", "unsafe_advice"}
    assert not derived & (ConversationCreate.model_fields.keys() | ConversationUpdate.model_fields.keys())


def test_every_kind_of_unsafe_advice_can_be_found_in_a_conversation() -> None:
    assert [one.value for one in FoundAdvice] == ["none", *UnsafeAdvice]


def test_the_index_has_every_field() -> None:
    assert {field.name for field in vector_index.FILTERABLE} | {vector_index.ID} == set(NAMES)


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_of_another_type_is_rejected(field: object) -> None:
    with pytest.raises(TypeError):
        to_index_value(field, 1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "text"), [((), ""), (("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")]
)
def test_names_are_joined(names: tuple[str, ...], text: str) -> None:
    assert join_names(names, " or ") == text
