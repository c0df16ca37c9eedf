"""The registry of fields: whatever names a field or a filter by hand names them all."""

import pytest
from mh_common import vector_index
from mh_common.fields import FIELDS, FILTERS, NAMES, indexed, listed
from mh_common.models import Conversation, SearchHit, SearchRequest
from mh_common.models.search import SearchFilters


def test_a_search_takes_every_filter_by_its_name() -> None:
    assert list(SearchFilters.model_fields) == list(FILTERS)
    assert FILTERS.keys() < SearchRequest.model_fields.keys()


def test_what_can_be_filtered_by_is_shown() -> None:
    assert set(NAMES) <= set(Conversation.model_fields)
    assert set(NAMES) <= set(SearchHit.model_fields)


def test_the_index_holds_every_field() -> None:
    assert {field.name for field in vector_index.FILTERABLE} | {vector_index.ID} == set(NAMES)


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_of_a_foreign_type_is_refused(field: object) -> None:
    with pytest.raises(TypeError):
        indexed(field, 1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "text"), [((), ""), (("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")]
)
def test_an_enumeration(names: tuple[str, ...], text: str) -> None:
    assert listed(names, " or ") == text
