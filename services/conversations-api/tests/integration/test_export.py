"""Exports: files that can be imported again, of any size in the same memory."""

import csv
import io
import json
import tracemalloc
from typing import Any

import httpx
import pytest
from conversations_api.conversations import export
from conversations_api.conversations.filters import ConversationFilters, ExportFormat
from conversations_api.conversations.service import EXPORT_PAGE, export_pages
from conversations_api.database import SessionFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_common.formats import unguard
from mh_common.text import is_blank, normalized, plain_text
from mh_devtools.testing.fixtures import RunQuery

PATH = "/api/v1/conversations"
CONTENT = ("question", "answer", "question_sentiment", "answer_sentiment")


def row(question: str, answer: str = "a", sentiment: str = "neutral") -> dict[str, str]:
    return dict(zip(CONTENT, (question, answer, sentiment, "positive"), strict=True))


async def add(client: httpx.AsyncClient, rows: list[dict[str, str]]) -> list[int]:
    answer = await client.post(f"{PATH}/bulk", json={"items": rows})
    assert answer.status_code == 201, answer.text
    ids: list[int] = answer.json()["ids"]
    return ids


async def download(client: httpx.AsyncClient, form: str, **filters: Any) -> str:
    answer = await client.get(f"{PATH}/export", params={"format": form, **filters})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="conversations.{form}"'
    return answer.content.decode()


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40),
    st.text(st.sampled_from("a=,;\"'\r\n\t+-@|🙂\u2028\x85\ufeff"), min_size=1, max_size=20),
).filter(lambda text: text.strip() == text and normalized(text) == text and not is_blank(plain_text(text)))


@pytest.mark.slow
@given(texts=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_export_holds_what_was_added(client: httpx.AsyncClient, texts: list[tuple[str, str]]) -> None:
    rows = [row(question, answer) for question, answer in texts]
    ids = await add(client, rows)
    back = read_csv(await download(client, "csv", ids=ids, raw=True))
    assert [{name: line[name] for name in CONTENT} for line in back] == rows
    guarded = read_csv(await download(client, "csv", ids=ids))
    assert [{name: unguard(line[name]) for name in CONTENT} for line in guarded] == rows
    assert [int(line["id"]) for line in back] == ids
    # Also for readers that end lines at more characters than JSON does.
    lines = [json.loads(line) for line in (await download(client, "jsonl", ids=ids)).splitlines()]
    assert [{name: line[name] for name in CONTENT} for line in lines] == rows
    read = (await client.get(PATH, params={"ids": ids})).json()["items"]
    assert lines == read
    assert (await client.post(f"{PATH}/bulk-delete", json={"ids": ids})).status_code == 200


async def test_cells_that_a_spreadsheet_would_run_are_guarded(client: httpx.AsyncClient) -> None:
    await add(client, [{**row('=HYPERLINK("http://x")', "-1"), "author": "@SUM(1)"}])
    [line] = read_csv(await download(client, "csv"))
    assert (line["question"], line["answer"], line["author"]) == ('\'=HYPERLINK("http://x")', "'-1", "'@SUM(1)")
    [line] = read_csv(await download(client, "csv", raw="true"))
    assert (line["question"], line["author"]) == ('=HYPERLINK("http://x")', "@SUM(1)")
    assert json.loads(await download(client, "jsonl"))["question"] == '=HYPERLINK("http://x")'


async def test_the_columns_come_in_a_fixed_order(client: httpx.AsyncClient) -> None:
    columns = "question,answer,question_sentiment,answer_sentiment,id,version,created_at,updated_at"
    details = "source_url,source_date,category,author,import_tag,risk_level,unsafe_advice,origin,review_state"
    people = "created_by,updated_by,reviewed_by,reviewed_at"
    assert await download(client, "csv") == f"{columns},{details},{people}\r\n"
    assert await download(client, "jsonl") == ""
    answer = await client.get(f"{PATH}/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    answer = await client.get(f"{PATH}/export", params={"format": "jsonl"})
    assert answer.headers["content-type"] == "application/jsonl; charset=utf-8"


async def test_an_export_passes_the_same_filters_as_the_list(client: httpx.AsyncClient) -> None:
    rows = [row(f"question {number}", sentiment=("neutral", "negative")[number % 2]) for number in range(250)]
    ids = await add(client, rows)
    assert [int(line["id"]) for line in read_csv(await download(client, "csv"))] == ids
    negative = read_csv(await download(client, "csv", question_sentiment="negative", ids=ids[:20]))
    assert [int(line["id"]) for line in negative] == ids[1:20:2]
    found = read_csv(await download(client, "csv", q="question 7"))
    assert [line["question"] for line in found if line["question"].endswith(" 7")] == ["question 7"]
    assert len(found) < 250


async def test_an_error_before_the_first_byte_is_a_problem(client: httpx.AsyncClient, query: RunQuery) -> None:
    assert (await client.get(f"{PATH}/export", params={"format": "xml"})).status_code == 400
    await query("ALTER TABLE mental_health_conversations RENAME TO hidden")
    try:
        answer = await client.get(f"{PATH}/export")
    finally:
        await query("ALTER TABLE hidden RENAME TO mental_health_conversations")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "mental_health" not in answer.text


@pytest.mark.parametrize("form", ExportFormat)
async def test_memory_does_not_grow_with_the_export(
    client: httpx.AsyncClient, sessions: SessionFactory, form: ExportFormat
) -> None:
    text = "x" * 3_000
    for _ in range(3):
        await add(client, [row(text, text)] * 1000)
    size, most_rows = 0, 0
    tracemalloc.start()
    try:
        pages = export_pages(sessions, ConversationFilters())
        first = await anext(pages)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        async for chunk in export.lines(first, pages, form):
            size += len(chunk)
            most_rows = max(most_rows, chunk.count(text.encode()) // 2)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert size > 18_000_000
    assert most_rows == EXPORT_PAGE
    assert peak < size / 3
