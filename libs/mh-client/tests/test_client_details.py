"""Source, date, category and author of conversations: importing, writing, filtering and printing."""

import asyncio
import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import respx
from mh_client import AsyncClient, Client, InvalidInputError
from mh_client._import_rows import Labeller, Row, conversations
from mh_client.importing import ImportOptions, import_file
from mh_client.labelling import label
from mh_common.formats import FIELDS, Reject, open_rows
from mh_common.models import ConversationCreate, Sentiment
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import RunCommand
from mh_devtools.testing.hits import search_hit

HEADER = "question,answer,question_sentiment,answer_sentiment"
CONTENT = {"question": "q", "answer": "a", "question_sentiment": "positive", "answer_sentiment": "neutral"}
DETAILS = {"source_url": "https://example.org/1", "source_date": "2021-01-01", "category": "sleep", "author": "J. D."}
NONE = dict.fromkeys(DETAILS)


def details_of(row: Row | Reject) -> dict[str, Any]:
    assert isinstance(row, Row)
    return {name: value for name, value in row.conversation.model_dump(mode="json").items() if name in DETAILS}


def read(content: bytes, labeller: Labeller | None = None) -> list[Row | Reject]:
    with open_rows(io.BytesIO(content)) as reader:
        return list(conversations(reader, labeller))


def read_csv(text: str) -> list[Row | Reject]:
    return read(text.encode())


def read_jsonl(*lines: object, labeller: Labeller | None = None) -> list[Row | Reject]:
    return read("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode(), labeller)


def test_a_csv_file_may_have_the_columns_and_cells_may_be_empty() -> None:
    rows = read_csv(
        f"{HEADER},Source_URL,source_date,note,Category,author\n"
        "q,a,positive,neutral,https://example.org/1,2021/01/01,x,sleep,J. D.\n"
        "q,a,positive,neutral, ,2021.01.01,x,,\n"
        "q,a,positive,neutral,,,x,,\n"
    )
    assert [details_of(row) for row in rows] == [DETAILS, {**NONE, "source_date": "2021-01-01"}, NONE]
    assert details_of(read_csv(f"{HEADER}\nq,a,positive,neutral\n")[0]) == NONE


def test_an_invalid_cell_is_reported() -> None:
    found = read_csv(
        f"{HEADER},source_url,source_date,category\n"
        "q,a,positive,neutral,javascript:alert(1),,\n"
        "q,a,positive,neutral,,1.1.2021,\n"
        f"q,a,positive,neutral,,,{'x' * 65}\n"
    )
    assert all(isinstance(reject, Reject) for reject in found)
    assert [reject.reason.split(":")[0] for reject in found if isinstance(reject, Reject)] == list(DETAILS)[:3]


def test_json_lines_are_read_as_an_export_writes_them() -> None:
    whole = {**CONTENT, **DETAILS, "id": 7, "version": 2, "index_status": "indexed"}
    first, second, third = read_jsonl(whole, "", {**CONTENT, **NONE}, CONTENT)
    assert [details_of(row) for row in (first, second, third)] == [DETAILS, NONE, NONE]
    assert isinstance(second, Row)
    assert (second.number, second.line) == (1, 3)


def test_invalid_lines_are_rejected_with_their_number() -> None:
    good, *bad = read_jsonl(CONTENT, "{", "[1]", {**CONTENT, "answer": []}, {**CONTENT, "author": "x" * 129})
    assert isinstance(good, Row)
    assert [reject.line for reject in bad] == [2, 3, 4, 5]
    reasons = [reject.reason for reject in bad if isinstance(reject, Reject)]
    assert "JSON object" in reasons[1]
    assert reasons[2:] == ["the answer must be a text", "author: String should have at most 128 characters"]
    assert [len(reject.cells) for reject in bad] == [len(FIELDS) + 1] * 4


def test_missing_sentiments_of_json_lines_can_be_labelled() -> None:
    [row] = read_jsonl({"question": "I feel awful and sad", "answer": "Great, wonderful!"}, labeller=label)
    assert isinstance(row, Row)
    assert row.conversation.question_sentiment is Sentiment.NEGATIVE
    [refused] = read_jsonl({"question": "q", "answer": "a"})
    assert isinstance(refused, Reject)


def test_a_file_of_json_lines_is_imported_once(stub: StubPlatform, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({**CONTENT, "question": f"question {number}", **DETAILS}) for number in range(25)]
    path.write_text("\n".join([*lines, "no json"]))

    async def run() -> tuple[int, int, int]:
        options = ImportOptions(batch_rows=10, state_dir=tmp_path / "state")
        async with AsyncClient(stub.base_url) as client:
            done = await import_file(client, path, options)
        return done.added, done.skipped, done.rejected

    assert asyncio.run(run()) == (25, 0, 1)
    assert asyncio.run(run()) == (0, 25, 1)
    assert {row.category for row in stub.rows} == {"sleep"}
    with (tmp_path / "rows.jsonl.rejects.csv").open(newline="") as file:
        header, [line, _, *cells] = csv.reader(file)
    assert header == ["line", "reason", *FIELDS, "json"]
    assert (line, cells[-1]) == ("26", "no json")


@respx.mock
def test_none_is_sent_only_to_clear_a_detail() -> None:
    api = "http://api.test/api/v1/conversations"
    answer = {**CONTENT, "id": 1, "version": 1, "index_status": "pending"}
    answer |= dict.fromkeys(("created_at", "updated_at"), "2026-03-01T00:00:00Z")
    posted = respx.post(api).respond(201, json=answer)
    put = respx.put(f"{api}/1").respond(json=answer)
    patched = respx.patch(f"{api}/1").respond(json=answer)
    respx.post(f"{api}/bulk").respond(201, json={"ids": [1]})
    content: Any = CONTENT
    with Client("http://api.test") as client:
        client.conversations.create(**content)
        assert json.loads(posted.calls.last.request.content) == CONTENT
        client.conversations.create(**content, source_date=date(2021, 1, 1), category="sleep", author=None)
        sent = {**CONTENT, "source_date": "2021-01-01", "category": "sleep"}
        assert json.loads(posted.calls.last.request.content) == sent
        client.conversations.replace(1, **content, author="J. D.")
        assert json.loads(put.calls.last.request.content) == {**CONTENT, "author": "J. D."}
        client.conversations.update(1, category=None, author="J. D.")
        assert json.loads(patched.calls.last.request.content) == {"category": None, "author": "J. D."}
        client.conversations.bulk_create([ConversationCreate(**content)])
        assert json.loads(respx.calls.last.request.content) == {"items": [CONTENT]}
        with pytest.raises(InvalidInputError):
            client.conversations.update(1, source_url="javascript:alert(1)")


@respx.mock
def test_filters_are_sent_with_their_api_names() -> None:
    listed = respx.get("http://api.test/api/v1/conversations").respond(json={"items": [], "next_cursor": None})
    searched = respx.post("http://api.test/api/v1/search").respond(
        json={"hits": [], "total_hits": 0, "relevance_threshold": None}
    )
    with Client("http://api.test") as client:
        client.conversations.list(
            category=["a", "b"], author="J. D.", source_date_after=date(2021, 1, 1), source_url_empty=False
        )
        client.search("x", category="a", source_date_before=date(2021, 1, 1), author_empty=True)
    assert listed.calls.last.request.url.params.multi_items() == [
        ("category", "a"),
        ("category", "b"),
        ("author", "J. D."),
        ("source_date_after", "2021-01-01"),
        ("source_url_empty", "false"),
    ]
    assert json.loads(searched.calls.last.request.content) == {
        "query": "x",
        "category": ["a"],
        "source_date_before": "2021-01-01",
        "author_empty": True,
    }


def test_commands_accept_the_filters(stub: StubPlatform, mh: RunCommand) -> None:
    options = ("--category", "sleep", "--category", "panic, attacks", "--no-author-empty", "--source-date-after")
    assert mh("search", "bus", *options, "2021.01.01", "--created-after", "2026/03/01")[0] == 0
    asked = stub.queries[-1]
    assert asked["category"] == ["sleep", "panic, attacks"]
    assert (asked["author_empty"], asked["source_date_after"]) == (False, "2021-01-01")
    assert asked["created_after"] == "2026-03-01T00:00:00Z"
    assert mh("export", "--source-url-empty", "--source-date-before", "2021/01/01")[0] == 0
    assert stub.queries[-1] == {"format": "csv", "source_url_empty": "true", "source_date_before": "2021-01-01"}
    code, _, errors = mh("export", "--source-date-before", "yesterday")
    assert (code, "is not a date such as 2026-03-01" in errors) == (2, True)


def test_hits_are_printed_with_their_details(capsys: pytest.CaptureFixture[str]) -> None:
    from mh_client._search_commands import _print_hit

    _print_hit(search_hit(7, "q", **DETAILS))
    assert capsys.readouterr().out.splitlines()[-2:] == ["  https://example.org/1 · 2021-01-01 · sleep · J. D.", ""]
