"""Whichever integration a tool uses, it finds the same conversations in the same order."""

import json
import re
from pathlib import Path

import httpx
import pytest
from mcp import Client as McpClient
from mh_client import AsyncClient
from mh_common.models.risk import without_notices
from mh_devtools.bench.data import read_rows
from mh_devtools.stack.server_stack import ServerStack, until_indexed
from openai import AsyncOpenAI

SAMPLE = Path(__file__).resolve().parent.parent / "scripts" / "sample"
LIMIT = 7
SOURCES = 3

pytestmark = [pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis, pytest.mark.timeout(300)]


@pytest.fixture
async def queries(api: AsyncClient) -> list[str]:
    """Queries of the sample, and one that looks like a filter; some of the sample's conversations are indexed."""
    await api.conversations.bulk_create(read_rows(SAMPLE / "conversations.csv")[::3])
    await until_indexed(api)
    lines = (SAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines()[::30]
    return [*(str(json.loads(line)["query"]) for line in lines), 'my sister said: -never "again" id:7 sleep']


def ids_of(links: list[str]) -> list[int]:
    return [int(link.rpartition("/")[2]) for link in links]


async def by_post(url: str, query: str) -> dict[str, list[int]]:
    """The ids by the integrations that are a plain POST."""
    body = {"query": query, "limit": LIMIT}
    dify = {
        "knowledge_id": "conversations",
        "query": query,
        "retrieval_setting": {"top_k": LIMIT, "score_threshold": 0},
    }
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        full, simple, retrieval = [
            (await http.post(path, json=content)).raise_for_status().json()
            for path, content in (("/search", body), ("/search-simple", body), ("/retrieval", dify))
        ]
    return {
        "/search": ids_of([result["link"] for result in full["results"]]),
        "/search-simple": ids_of([source["link"] for source in simple["sources"]]),
        "/search-simple, context": ids_of(re.findall(r"^Source: (\S+)$", simple["context"], re.MULTILINE)),
        "/retrieval": [record["metadata"]["id"] for record in retrieval["records"]],
    }


async def test_every_door_finds_the_same_in_the_same_order(
    platform: ServerStack, rag: AsyncClient, queries: list[str]
) -> None:
    url = platform.rag_url
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="-") as openai, McpClient(f"{url}/mcp") as mcp:
        for query in queries:
            expected = [hit.id for hit in (await rag.search(query, limit=LIMIT, plain_query=True)).hits]
            assert len(expected) == LIMIT
            found = await by_post(url, query)
            store = await openai.vector_stores.search("conversations", query=query, max_num_results=LIMIT)
            found["vector store"] = [int(one.file_id) for one in store.data]
            tool = (await mcp.call_tool("search", {"query": query, "limit": LIMIT})).structured_content
            found["MCP"] = [int(one["id"]) for one in (tool or {})["results"]]
            assert found == dict.fromkeys(found, expected), query


async def test_every_door_answers_from_the_same_sources(
    platform: ServerStack, rag: AsyncClient, queries: list[str]
) -> None:
    url = platform.rag_url
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="-") as openai, McpClient(f"{url}/mcp") as mcp:
        for query in queries:
            answer = await rag.answer(query, top_k=SOURCES)
            expected = [source.id for source in answer.sources]
            hits = (await rag.search(query, limit=SOURCES, plain_query=True)).hits
            assert expected == [hit.id for hit in hits][: len(expected)]
            chat = await openai.chat.completions.create(
                model="mental-health", messages=[{"role": "user", "content": query}]
            )
            tool = (await mcp.call_tool("ask", {"question": query, "top_k": SOURCES})).structured_content
            found = {
                "chat completions": ids_of((chat.model_extra or {})["citations"]),
                "MCP": [int(one["id"]) for one in (tool or {})["sources"]],
            }
            assert found == dict.fromkeys(found, expected), query
            assert without_notices(chat.choices[0].message.content or "") == answer.answer
