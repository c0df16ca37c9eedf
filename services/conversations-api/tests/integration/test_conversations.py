"""One conversation: add, read, replace, change, delete."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from mh_devtools.testing.fixtures import RunQuery
from mh_devtools.testing.responses import assert_problem

PATH = "/api/v1/conversations"
NEW = {
    "question": "I can't sleep.",
    "answer": "Keep a fixed hour to get up.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
}


async def add(client: httpx.AsyncClient, **changes: str) -> dict[str, Any]:
    answer = await client.post(PATH, json={**NEW, **changes})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_new_conversation_is_answered_as_it_can_be_read(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=NEW)
    assert answer.status_code == 201
    created = answer.json()
    assert {name: created[name] for name in NEW} == NEW
    assert (created["version"], created["index_status"]) == (1, "pending")
    assert created["created_at"] == created["updated_at"]
    assert datetime.fromisoformat(created["created_at"]).utcoffset() is not None
    assert answer.headers["location"] == f"{PATH}/{created['id']}"
    assert answer.headers["etag"] == '"1-pending"'

    read = await client.get(answer.headers["location"])
    assert (read.status_code, read.content, read.headers["etag"]) == (200, answer.content, '"1-pending"')


TEXTS = [
    "a",
    "x" * 1_000_000,
    "🙂" * 1_000_000,
    "‏שלום, мир 你好 👩‍👩‍👧",
    "tab\tand\r\nlines\n\nand \\ ' \" %s :x {} ;--",
    "\xe9 \u2028 \ufeff \x01",
]


async def test_any_text_comes_back_unchanged(client: httpx.AsyncClient) -> None:
    for text in TEXTS:
        created = await add(client, question=text, answer=text)
        read = (await client.get(f"{PATH}/{created['id']}")).json()
        assert read["question"] == text
        assert read["answer"] == text


async def test_texts_are_stored_in_one_normal_form(client: httpx.AsyncClient) -> None:
    decomposed = await add(client, question="cafe\u0301", category="the\u0301")

    assert (decomposed["question"], decomposed["category"]) == ("caf\xe9", "th\xe9")
    for category in ("the\u0301", "th\xe9"):
        page = (await client.get(PATH, params={"category": category, "ids": decomposed["id"]})).json()
        assert [item["id"] for item in page["items"]] == [decomposed["id"]]


BLANK = ["\u200b", "\ufeff", "\xad", "\u3164", "\u2060", "\U000e0041", " \u200b \x07", "<p>&nbsp;</p>", "&#8203;"]


@pytest.mark.parametrize("text", BLANK)
async def test_a_text_that_shows_nothing_is_blank(client: httpx.AsyncClient, text: str) -> None:
    for field in ("question", "answer"):
        assert_problem(await client.post(PATH, json={**NEW, field: text}), 422)
    assert_problem(await client.get(PATH, params={"q": "\u2060"}), 400)
    assert_problem(await client.get(PATH, params={"category": "\u2060"}), 400)


async def test_html_is_stored_and_listed_as_it_was_sent(client: httpx.AsyncClient) -> None:
    html = "<p>Caf&eacute;&nbsp;talk</p><p>Next</p>"
    created = await add(client, answer=html)

    assert (await client.get(f"{PATH}/{created['id']}")).json()["answer"] == html


@pytest.mark.parametrize("key", ["225.0", "2_26", "+1", "1_0", "\u0661", "01x", " 1"])
async def test_a_key_consists_of_digits(client: httpx.AsyncClient, key: str) -> None:
    assert_problem(await client.delete(f"{PATH}/{quote(key)}"), 400)
    assert_problem(await client.get(PATH, params={"ids": key}), 400)
    assert_problem(await client.get(PATH, params={"limit": key}), 400)


@pytest.mark.parametrize("ids", [[True], ["1"], [1.0], [1, True]])
async def test_only_numbers_are_ids(client: httpx.AsyncClient, ids: list[object]) -> None:
    assert_problem(await client.post(f"{PATH}/bulk-delete", json={"ids": ids}), 422)


async def test_half_a_million_wrong_ids_make_one_error(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{PATH}/bulk-delete", json={"ids": [""] * 500_000})

    problem = assert_problem(answer, 422)
    assert problem["errors"] == [{"field": "ids", "message": "must have at most 1,000 members"}]


async def test_texts_are_trimmed(client: httpx.AsyncClient) -> None:
    assert (await add(client, question=" \n why? \t"))["question"] == "why?"


BAD_FIELDS: list[dict[str, Any]] = [
    {"question": ""},
    {"question": " \n\t "},
    {"answer": "x" * 1_000_001},
    {"answer": "nul\x00here"},
    {"answer": "half \ud800 pair"},
    {"question": None},
    {"question": 5},
    {"question_sentiment": "angry"},
    {"answer_sentiment": None},
    {"id": 5},
    {"created_at": "2026-01-01T00:00:00Z"},
]


async def test_a_bad_field_is_named_and_its_text_not_repeated(client: httpx.AsyncClient) -> None:
    json_type = {"content-type": "application/json"}
    for changes in BAD_FIELDS:
        whole, part = (json.dumps(body).encode() for body in ({**NEW, **changes}, changes))
        for answer in (
            await client.post(PATH, content=whole, headers=json_type),
            await client.put(f"{PATH}/1", content=whole, headers=json_type),
            await client.patch(f"{PATH}/1", content=part, headers=json_type),
        ):
            problem = assert_problem(answer, 422)
            # null for a field that cannot be cleared is the same as leaving it out.
            no_change = answer.request.method == "PATCH" and None in changes.values()
            assert [error["field"] for error in problem["errors"]] == ([""] if no_change else list(changes))
            assert "xxx" not in answer.text
            assert "half " not in answer.text.replace("half of a surrogate pair", "")


async def test_every_bad_field_is_named(client: httpx.AsyncClient) -> None:
    problem = assert_problem(await client.post(PATH, json={"question": "", "surplus": 1}), 422)
    named = {error["field"] for error in problem["errors"]}
    assert named == {"question", "answer", "question_sentiment", "answer_sentiment", "surplus"}


async def test_a_body_that_is_not_json_is_a_bad_request(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, content=b'{"question": ', headers={"content-type": "application/json"})
    assert_problem(answer, 400)


BODIES = {"GET": None, "PUT": {**NEW, "answer": "x"}, "PATCH": {"answer": "x"}, "DELETE": None}


@pytest.mark.parametrize("method", BODIES)
async def test_an_invalid_id_is_a_bad_request(client: httpx.AsyncClient, method: str) -> None:
    for id_ in ("abc", "0", "-1", "1.5", "9223372036854775808", "9" * 30, "%F0%9F%99%82"):
        problem = assert_problem(await client.request(method, f"{PATH}/{id_}", json=BODIES[method]), 400)
        assert problem["errors"][0]["field"] == "conversation_id"


@pytest.mark.parametrize("method", BODIES)
async def test_an_absent_conversation_is_not_found(client: httpx.AsyncClient, method: str) -> None:
    for id_ in (424242, 2**63 - 1):
        assert_problem(await client.request(method, f"{PATH}/{id_}", json=BODIES[method]), 404)


async def test_put_replaces_and_counts_the_version(client: httpx.AsyncClient) -> None:
    created = await add(client)
    content = {**NEW, "question": "New?", "answer_sentiment": "positive"}
    answer = await client.put(f"{PATH}/{created['id']}", json=content)
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2-pending"'
    replaced = answer.json()
    assert replaced == {**created, **content, "version": 2, "updated_at": replaced["updated_at"]}
    assert replaced["updated_at"] > created["updated_at"]
    assert (await client.get(f"{PATH}/{created['id']}")).json() == replaced


async def test_patch_changes_the_named_fields_only(client: httpx.AsyncClient) -> None:
    created = await add(client)
    changed = (await client.patch(f"{PATH}/{created['id']}", json={"answer": " Better. "})).json()
    assert changed == {**created, "answer": "Better.", "version": 2, "updated_at": changed["updated_at"]}


async def test_a_patch_of_nothing_is_refused(client: httpx.AsyncClient) -> None:
    created = await add(client)
    assert_problem(await client.patch(f"{PATH}/{created['id']}", json={}), 422)


async def test_equal_content_is_no_new_version_and_no_job(client: httpx.AsyncClient, query: RunQuery) -> None:
    created = await add(client)
    await query("DELETE FROM index_outbox")
    for answer in (
        await client.put(f"{PATH}/{created['id']}", json=NEW),
        await client.patch(f"{PATH}/{created['id']}", json={"question": f"  {NEW['question']}  "}),
    ):
        assert answer.status_code == 200
        assert answer.json() == created
    assert await query("SELECT * FROM index_outbox") == []


async def test_updated_at_moves_forward_even_where_the_clock_went_back(
    client: httpx.AsyncClient, query: RunQuery
) -> None:
    created = await add(client)
    await query("UPDATE mental_health_conversations SET updated_at = '2999-01-01 00:00:00.000000'")
    changed = (await client.patch(f"{PATH}/{created['id']}", json={"answer": "x"})).json()
    assert changed["updated_at"] == "2999-01-01T00:00:00.000001Z"


async def test_a_deleted_conversation_is_gone_and_its_id_stays_unused(
    client: httpx.AsyncClient, query: RunQuery
) -> None:
    created = await add(client)
    answer = await client.delete(f"{PATH}/{created['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await client.get(f"{PATH}/{created['id']}"), 404)
    assert await query("SELECT * FROM index_states") == []
    assert (await add(client))["id"] > created["id"]


async def test_a_conversation_shows_its_index_status(client: httpx.AsyncClient, query: RunQuery) -> None:
    created = await add(client)
    await query("UPDATE index_states SET status = 'indexed'")
    read = await client.get(f"{PATH}/{created['id']}")
    assert (read.json()["index_status"], read.headers["etag"]) == ("indexed", '"1-indexed"')
    same = await client.put(f"{PATH}/{created['id']}", json=NEW)
    assert (same.json()["index_status"], same.headers["etag"]) == ("indexed", '"1-indexed"')
    changed = await client.patch(f"{PATH}/{created['id']}", json={"answer": "x"})
    assert (changed.json()["index_status"], changed.headers["etag"]) == ("pending", '"2-pending"')
    # A row that came into the table past the API.
    await query("DELETE FROM index_states")
    assert (await client.get(f"{PATH}/{created['id']}")).json()["index_status"] == "pending"


async def test_if_none_match_spares_the_body(client: httpx.AsyncClient) -> None:
    created = await add(client)
    for tag in ('"1-pending"', 'W/"1-pending"', '"0-pending", "1-pending"', "*"):
        answer = await client.get(f"{PATH}/{created['id']}", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1-pending"')


async def test_if_none_match_of_something_else_gives_the_body(client: httpx.AsyncClient) -> None:
    created = await add(client)
    for tag in ('"1"', '"1-indexed"', '"2-pending"', 'W/"x", "y"'):
        answer = await client.get(f"{PATH}/{created['id']}", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.json()) == (200, created)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_if_match_of_the_current_version_succeeds(client: httpx.AsyncClient, method: str) -> None:
    for tag in ('"1"', '"1-pending"', '"1-indexed"', '"7", "1"', "*"):
        path = f"{PATH}/{(await add(client))['id']}"
        answer = await client.request(method, path, json=BODIES[method], headers={"If-Match": tag})
        assert answer.status_code in (200, 204)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_if_match_of_another_version_changes_nothing(client: httpx.AsyncClient, method: str) -> None:
    created = await add(client)
    path = f"{PATH}/{created['id']}"
    for tag in ('"2"', '"01"', 'W/"1"', 'W/"1-pending"', '"one"', '""'):
        assert_problem(await client.request(method, path, json=BODIES[method], headers={"If-Match": tag}), 412)
        assert (await client.get(path)).json() == created


async def test_a_precondition_that_is_not_a_tag_is_a_bad_request(client: httpx.AsyncClient) -> None:
    path = f"{PATH}/{(await add(client))['id']}"
    for value in ("1", '"1', '"1" "2"', "", '"a"b', "*, *"):
        assert_problem(await client.patch(path, json={"answer": "x"}, headers={"If-Match": value}), 400)
        assert_problem(await client.get(path, headers={"If-None-Match": value}), 400)


async def test_several_header_lines_are_one_list(client: httpx.AsyncClient) -> None:
    created = await add(client)
    lines = [("If-Match", '"9"'), ("If-Match", '"1"')]
    assert (await client.delete(f"{PATH}/{created['id']}", headers=lines)).status_code == 204
