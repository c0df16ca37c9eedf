"""Search."""

from typing import Literal, Unpack

from mh_common.fields import FILTERS, Operator
from mh_common.models import GroupBy, SearchMode, SearchRequest, SearchResult

from mh_client._base import Call, validated
from mh_client.resources._fields import FieldFilters
from mh_client.resources._params import query_params

SearchModeName = SearchMode | Literal["hybrid", "semantic", "keyword"]
GroupByName = GroupBy | Literal["question", "none"]


class SearchOptions(FieldFilters, total=False):
    """Filters and options of a search; None means the default.

    `plain_query` treats the query as free text only; otherwise it may contain `"a phrase"`, `-word` and filters such as
    `created_at>=2026-03`.
    """

    plain_query: bool
    mode: SearchModeName
    group_by: GroupByName
    explain: bool
    limit: int
    similarity_threshold: float | None


def search(query: str, **filters: Unpack[SearchOptions]) -> Call[SearchResult]:
    """Search conversations by meaning and keywords, best first (`limit` 1 to 100, default 10), one per question."""
    values: dict[str, object] = {"query": query, **filters}
    for name, one in FILTERS.items():
        if one.operator is Operator.ANY_OF and isinstance(values.get(name), str):
            values[name] = [values[name]]
    request = validated(SearchRequest, values)
    return Call(
        method="POST",
        path="/api/v1/search",
        content=request.model_dump_json(exclude_none=True, exclude_unset=True).encode(),
        parse=SearchResult.model_validate_json,
    )


def similar(conversation_id: int, limit: int = 10, similarity_threshold: float = 0.0) -> Call[SearchResult]:
    """Find questions similar to that of a conversation, best first, one hit per question (`limit` 1 to 100)."""
    return Call(
        method="GET",
        path=f"/api/v1/conversations/{conversation_id:d}/similar",
        params=query_params({"limit": limit, "similarity_threshold": similarity_threshold}),
        parse=SearchResult.model_validate_json,
    )
