"""The query parameters that filter a list, against the registry of fields."""

from conversations_api.conversations.filters import ConversationFilters
from mh_common.fields import FILTERS


def test_a_list_takes_every_filter_by_its_name() -> None:
    assert list(ConversationFilters.model_fields) == [*FILTERS, "q"]
