"""Source URL, date, category, author and what screening found: returned and filterable in every integration."""

from datetime import date
from typing import Any

import httpx
import pytest
from mcp import Client
from mh_common.fields import NAMES, FoundAdvice, Origin, ReviewState, RiskLevel
from mh_common.models import Conversation
from mh_devtools.testing.fixtures import MakeConversation, ServeApp, WriteIndex
from rag_api.integrations.dify.models import RecordMetadata
from rag_api.integrations.openai.vector_stores.models import ResultAttributes
from rag_api.settings import Settings

DETAILS: dict[str, Any] = {
    "source_url": "https://example.org/a_b",
    "source_date": "2021-01-01",
    "category": "panic, at 100%",
    "author": 'J. "Joe" O\'Neil',
    "import_tag": "clinic-2026",
    "risk_level": "acute",
    "unsafe_advice": "leaving_alone",
    "origin": "import",
}
NONE = dict.fromkeys(DETAILS)


@pytest.fixture
async def rows(index: WriteIndex, conversation: MakeConversation) -> list[Conversation]:
    """Conversations with all, some and no source metadata; each has its own question."""
    whole = {**DETAILS, "source_date": date(2021, 1, 1), "risk_level": RiskLevel.ACUTE}
    whole |= {"unsafe_advice": FoundAdvice.LEAVING_ALONE, "origin": Origin.IMPORT}
    whole["review_state"] = ReviewState.APPROVED
    some = {"category": "sleep", "source_date": date(2020, 12, 31), "risk_level": RiskLevel.NONE}
    some["unsafe_advice"] = FoundAdvice.NONE
    found = [
        conversation(1, "asleep one").model_copy(update=whole),
        conversation(2, "asleep two").model_copy(update=some),
        conversation(3, "asleep three"),
    ]
    await index(found)
    return found


async def search(client: httpx.AsyncClient, query: str = "asleep", **filters: Any) -> dict[int, dict[str, Any]]:
    response = await client.post("/api/v1/search", json={"query": query, **filters})
    assert response.status_code == 200, response.text
    return {hit["id"]: hit for hit in response.json()["hits"]}


def test_filterable_fields_are_returned() -> None:
    assert set(NAMES) <= set(RecordMetadata.model_fields)
    assert set(NAMES) <= set(ResultAttributes.model_fields)


async def test_hits_include_source_metadata(client: httpx.AsyncClient, rows: list[Conversation]) -> None:
    hits = await search(client)
    assert [{name: hits[key][name] for name in DETAILS} for key in (1, 2, 3)] == [
        DETAILS,
        {**NONE, "category": "sleep", "source_date": "2020-12-31", "risk_level": "none", "unsafe_advice": "none"},
        NONE,
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"category": ["sleep"]}, {2}),
        ({"category": [DETAILS["category"], "sleep"]}, {1, 2}),
        ({"category": ["Sleep"]}, set()),
        ({"category_empty": True}, {3}),
        ({"category_empty": False}, {1, 2}),
        ({"author": [DETAILS["author"]]}, {1}),
        ({"author_empty": True}, {2, 3}),
        ({"import_tag": ["clinic-2026", "other"]}, {1}),
        ({"import_tag_empty": True}, {2, 3}),
        ({"source_url": [DETAILS["source_url"]]}, {1}),
        ({"source_url_empty": False}, {1}),
        ({"source_date_after": "2021.01.01"}, {1}),
        ({"source_date_before": "2021/01/01"}, {2}),
        ({"source_date_before": "9999-12-31"}, {1, 2}),
        ({"source_date_after": "0001-01-01"}, {1, 2}),
        ({"source_date_empty": True}, {3}),
        ({"risk_level": ["elevated", "acute"]}, {1}),
        ({"risk_level": ["none", "acute"]}, {1, 2}),
        ({"risk_level_empty": True}, {3}),
        ({"unsafe_advice": ["medication", "leaving_alone"]}, {1}),
        ({"unsafe_advice": ["none"]}, {2}),
        ({"unsafe_advice_empty": True}, {3}),
        ({"risk_level_empty": False}, {1, 2}),
        ({"origin": ["import", "person"]}, {1}),
        ({"origin_empty": True}, {2, 3}),
        ({"review_state": ["approved"]}, {1}),
        ({"review_state": ["unreviewed", "rejected"]}, {2, 3}),
    ],
)
async def test_a_search_is_filtered(
    client: httpx.AsyncClient, rows: list[Conversation], filters: dict[str, Any], expected: set[int]
) -> None:
    assert set(await search(client, **filters)) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("category:sleep", {2}),
        ('category:"panic, at 100%"', {1}),
        ('category:"panic, at 100%",sleep', {1, 2}),
        ("category=sleep", {2}),
        ("category:🙂", set()),
        ("-category:sleep", {1, 3}),
        ("category:*", {1, 2}),
        ("-category:*", {3}),
        ("-source_date:*", {3}),
        ("source_url:https://example.org/a_b", {1}),
        ('Source_URL : "https://example.org/a_b"', {1}),
        ("-source_url:https://example.org/axb", {1, 2, 3}),
        ("source_date:2021-01-01", {1}),
        ("source_date:2021.01.01", {1}),
        ("source_date>=2021/01", {1}),
        ("source_date<2021", {2}),
        ("source_date<=9999", {1, 2}),
        ("source_date>0001", {1, 2}),
        ("created_at>=2026.03.01 category:sleep", {2}),
        ("created_at<2026/03/01", set()),
        ("risk_level:acute", {1}),
        ("Risk_Level : Elevated,ACUTE", {1}),
        ("-risk_level:acute", {2, 3}),
        ("risk_level:*", {1, 2}),
        ("-risk_level:*", {3}),
        ("unsafe_advice:medication,Leaving_Alone", {1}),
        ("-unsafe_advice:none", {1, 3}),
        ("-unsafe_advice:*", {3}),
        ("origin:import,api", {1}),
        ("-origin:*", {2, 3}),
        ("review_state:Approved", {1}),
        ("-review_state:approved", {2, 3}),
        ("author: unknown", {1, 2, 3}),
        ("Category:sleep", {1, 2, 3}),
    ],
)
async def test_source_metadata_can_be_filtered_in_the_query(
    client: httpx.AsyncClient, rows: list[Conversation], typed: str, expected: set[int]
) -> None:
    assert set(await search(client, f"asleep {typed}")) == expected


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("category>sleep", "category must be followed by a colon"),
        ("risk_level>low", "risk_level must be followed by a colon: risk_level:elevated,acute"),
        ("unsafe_advice:bad", "unsafe_advice must be one of none, medication, diagnosis"),
        ("risk_level:severe", "risk_level must be one of none, low, elevated, acute"),
        ('category:""', "category must have 1 to 64 characters"),
        ("source_url:example.org", "source_url must be a URL that begins with http"),
        ("source_date:yesterday", "source_date must be a year, a month or a day"),
        ("source_date:2021-01-01T12:00Z", "source_date must be a year, a month or a day"),
        ("source_date:2021-01.01", "source_date must be a year, a month or a day"),
        ("-source_date:2021", "use the opposite operator"),
    ],
)
async def test_syntax_errors_say_what_to_change(client: httpx.AsyncClient, typed: str, words: str) -> None:
    response = await client.post("/api/v1/search", json={"query": f"asleep {typed}"})
    assert response.status_code == 422
    assert words in response.json()["detail"]


async def dify(client: httpx.AsyncClient, name: str, operator: str, value: Any = None) -> httpx.Response:
    condition = {"name": name, "comparison_operator": operator, "value": value}
    body = {"knowledge_id": "conversations", "query": "asleep", "metadata_condition": {"conditions": [condition]}}
    return await client.post("/retrieval", json=body)


@pytest.mark.parametrize(
    ("name", "operator", "value", "expected"),
    [
        ("risk_level", "is", "Acute", {1}),
        ("risk_level", "is not", "acute", {2, 3}),
        ("unsafe_advice", "in", "medication,leaving_alone", {1}),
        ("unsafe_advice", "empty", None, {3}),
        ("origin", "is", "import", {1}),
        ("review_state", "is not", "approved", {2, 3}),
        ("risk_level", "in", "elevated,acute", {1}),
        ("risk_level", "not empty", None, {1, 2}),
        ("category", "is", "sleep", {2}),
        ("category", "is not", "sleep", {1, 3}),
        ("category", "≠", "sleep", {1, 3}),
        ("category", "in", ["sleep", DETAILS["category"]], {1, 2}),
        ("category", "not in", "sleep", {1, 3}),
        ("category", "contains", "0%", {1}),
        ("category", "contains", "%", {1}),
        ("category", "contains", "_", set()),
        ("category", "contains", "ee", {2}),
        ("category", "not contains", "ee", {1, 3}),
        ("category", "not contains", "%", {2, 3}),
        ("author", "start with", 'J. "Joe"', {1}),
        ("author", "end with", "'Neil", {1}),
        ("author", "contains", '" or id > 0 or author like "', set()),
        ("source_url", "start with", "https://example.org/a_", {1}),
        ("source_url", "end with", "axb", set()),
        ("source_url", "is", DETAILS["source_url"], {1}),
        ("author", "empty", None, {2, 3}),
        ("author", "not empty", None, {1}),
        ("source_date", "null", None, {3}),
        ("source_date", "is", "2021-01-01", {1}),
        ("source_date", "is not", "2021.01.01", {2, 3}),
        ("source_date", "before", "2021/01/01", {2}),
        ("source_date", "after", "2020", {1}),
        ("source_date", "≤", 1609459200, {1, 2}),
        ("source_date", "in", "2021,2019", {1}),
        ("source_date", "not in", "2021,2019", {2, 3}),
    ],
)
async def test_dify_filters(
    client: httpx.AsyncClient, rows: list[Conversation], name: str, operator: str, value: Any, expected: set[int]
) -> None:
    response = await dify(client, name, operator, value)
    assert response.status_code == 200, response.text
    assert {record["metadata"]["id"] for record in response.json()["records"]} == expected


@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("category", ">", "sleep"),
        ("category", "is", "a\nb"),
        ("category", "is", "x" * 65),
        ("category", "contains", "a\u2028b"),
        ("category", "contains", "x" * 65),
        ("category", "contains", 5),
        ("source_url", "is", "javascript:alert(1)"),
        ("source_date", "contains", "2021"),
        ("source_date", "is", "2021-01-01T00:00:00Z"),
    ],
)
async def test_meaningless_dify_conditions_are_rejected(
    client: httpx.AsyncClient, name: str, operator: str, value: Any
) -> None:
    response = await dify(client, name, operator, value)
    assert response.status_code == 400
    assert "metadata_condition.conditions.0." in response.json()["error_msg"]


async def test_dify_records_include_existing_metadata(client: httpx.AsyncClient, rows: list[Conversation]) -> None:
    body = {"knowledge_id": "conversations", "query": "asleep"}
    records = (await client.post("/retrieval", json=body)).json()["records"]
    metadata = {record["metadata"]["id"]: record["metadata"] for record in records}
    assert DETAILS.items() <= metadata[1].items()
    assert metadata[1]["link"] == "http://rag-api/api/v1/conversations/1"
    assert {"category": "sleep", "source_date": "2020-12-31"}.items() <= metadata[2].items()
    assert not DETAILS.keys() & metadata[3].keys()


async def openai_search(client: httpx.AsyncClient, filters: dict[str, Any] | None = None) -> httpx.Response:
    body = {"query": "asleep", **({"filters": filters} if filters else {})}
    return await client.post("/v1/vector_stores/conversations/search", json=body)


@pytest.mark.parametrize(
    ("kind", "key", "value", "expected"),
    [
        ("in", "risk_level", ["elevated", "acute"], {1}),
        ("ne", "risk_level", "acute", {2, 3}),
        ("in", "unsafe_advice", ["medication", "leaving_alone"], {1}),
        ("ne", "origin", "import", {2, 3}),
        ("eq", "review_state", "approved", {1}),
        ("eq", "category", "sleep", {2}),
        ("ne", "category", "sleep", {1, 3}),
        ("in", "category", ["sleep", DETAILS["category"]], {1, 2}),
        ("nin", "category", ["sleep"], {1, 3}),
        ("eq", "author", DETAILS["author"], {1}),
        ("eq", "source_url", DETAILS["source_url"], {1}),
        ("eq", "source_date", "2021-01-01", {1}),
        ("ne", "source_date", "2021-01-01", {2, 3}),
        ("in", "source_date", ["2021.01.01", "2019-01-01"], {1}),
        ("lt", "source_date", "2021-01-01", {2}),
        ("lte", "source_date", "2021-01-01", {1, 2}),
        ("gt", "source_date", "2020-12-31", {1}),
        ("gte", "source_date", "0001-01-01", {1, 2}),
    ],
)
async def test_openai_filters(
    client: httpx.AsyncClient, rows: list[Conversation], kind: str, key: str, value: Any, expected: set[int]
) -> None:
    response = await openai_search(client, {"type": kind, "key": key, "value": value})
    assert response.status_code == 200, response.text
    assert {result["attributes"]["id"] for result in response.json()["data"]} == expected


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("gt", "risk_level", "low"),
        ("eq", "risk_level", ""),
        ("gt", "category", "sleep"),
        ("eq", "category", 5),
        ("eq", "category", ["sleep"]),
        ("eq", "category", "a\nb"),
        ("eq", "source_url", "javascript:alert(1)"),
        ("eq", "source_date", 1609459200),
        ("eq", "source_date", "2021"),
        ("lt", "source_date", None),
    ],
)
async def test_meaningless_openai_filters_are_rejected(
    client: httpx.AsyncClient, kind: str, key: str, value: Any
) -> None:
    response = await openai_search(client, {"type": kind, "key": key, "value": value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "filters"


async def test_openai_results_include_existing_metadata(client: httpx.AsyncClient, rows: list[Conversation]) -> None:
    data = (await openai_search(client)).json()["data"]
    attributes = {result["attributes"]["id"]: result["attributes"] for result in data}
    assert DETAILS.items() <= attributes[1].items()
    assert not DETAILS.keys() & attributes[3].keys()
    assert attributes[1]["url"] == "http://rag-api/api/v1/conversations/1"


async def test_tools_get_the_source_link(client: httpx.AsyncClient, rows: list[Conversation]) -> None:
    found = (await client.post("/search", json={"query": "asleep"})).json()["results"]
    told = {one["question"]: (one["link"], one["date"]) for one in found}
    assert told == {
        "asleep one": ("https://example.org/a_b", "2021-01-01"),
        "asleep two": ("http://rag-api/api/v1/conversations/2", "2020-12-31"),
        "asleep three": ("http://rag-api/api/v1/conversations/3", "2026-03-01"),
    }
    simple = (await client.post("/search-simple", json={"query": "asleep"})).json()
    assert {(one["link"], one["date"]) for one in simple["sources"]} == set(told.values())
    assert "Source: https://example.org/a_b\nDate: 2021-01-01\n" in simple["context"]


async def test_mcp_returns_and_filters_source_metadata(
    served: ServeApp, settings: Settings, rows: list[Conversation]
) -> None:
    with served(settings) as url:
        async with Client(f"{url}/mcp") as mcp:
            every = await mcp.call_tool("search", {"query": "asleep"})
            some = await mcp.call_tool("search", {"query": "asleep", "category": ["sleep"], "author_empty": True})
            acute = await mcp.call_tool("search", {"query": "asleep", "risk_level": ["acute"]})
            alone = await mcp.call_tool("search", {"query": "asleep", "unsafe_advice": ["leaving_alone", "delay"]})
            refused = await mcp.call_tool("search", {"query": "asleep", "source_url": ["javascript:alert(1)"]})
            whole = await mcp.call_tool("fetch", {"id": "1"})
            bare = await mcp.call_tool("fetch", {"id": "3"})
    assert every.structured_content
    assert some.structured_content
    assert whole.structured_content
    assert bare.structured_content
    results = {result["id"]: result for result in every.structured_content["results"]}
    assert DETAILS.items() <= results["1"].items()
    assert [result["id"] for result in some.structured_content["results"]] == ["2"]
    assert acute.structured_content
    assert [result["id"] for result in acute.structured_content["results"]] == ["1"]
    assert alone.structured_content
    assert [result["id"] for result in alone.structured_content["results"]] == ["1"]
    assert refused.is_error
    assert DETAILS.items() <= whole.structured_content["metadata"].items()
    assert not DETAILS.keys() & bare.structured_content["metadata"].keys()
