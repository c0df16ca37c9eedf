"""Search."""

from typing import Literal, Unpack

from mh_common.fields import FILTERS, Check
from mh_common.models import GroupBy, SearchMode, SearchRequest, SearchResult

from mh_client._base import Call, validated
from mh_client.resources._fields import FieldFilters
from mh_client.resources._params import query_params

SearchModeName = SearchMode | Literal["hybrid", "semantic", "keyword"]
GroupByName = GroupBy | Literal["question", "none"]


class SearchFilters(FieldFilters, total=False):
    """What may narrow or change a search; None is the same as left out.

    `plain_query` takes the query as free text only; else it may hold `"a phrase"`, `-word` and filters such as
    `created_at>=2026-03`.
    """

    plain_query: bool
    mode: SearchModeName
    group_by: GroupByName
    explain: bool
    limit: int
    similarity_threshold: float | None


def search(query: str, **filters: Unpack[SearchFilters]) -> Call[SearchResult]:
    """Find conversations by meaning and words, best first (`limit` 1 to 100, default 10), one for each question."""
    values: dict[str, object] = {"query": query, **filters}
    for name, one in FILTERS.items():
        if one.check is Check.ANY_OF and isinstance(values.get(name), str):
            values[name] = [values[name]]
    request = validated(SearchRequest, values)
    return Call(
        method="POST",
        path="/api/v1/search",
        content=request.model_dump_json(exclude_none=True, exclude_unset=True).encode(),
        parse=SearchResult.model_validate_json,
    )


def similar(conversation_id: int, limit: int = 10, similarity_threshold: float = 0.0) -> Call[SearchResult]:
    """Find other questions like that of a conversation, best first, one hit for each (`limit` 1 to 100)."""
    return Call(
        method="GET",
        path=f"/api/v1/conversations/{conversation_id:d}/similar",
        params=query_params({"limit": limit, "similarity_threshold": similarity_threshold}),
        parse=SearchResult.model_validate_json,
    )
