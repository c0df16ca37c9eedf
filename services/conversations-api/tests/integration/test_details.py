"""What a conversation may have besides: source, day, category, author. Written, cleared, filtered, exported."""

import csv
import io
import json
from typing import Any

import httpx
import pytest
from mh_devtools.testing.responses import assert_problem

PATH = "/api/v1/conversations"
NEW = {"question": "q", "answer": "a", "question_sentiment": "negative", "answer_sentiment": "neutral"}
DETAILS = {
    "source_url": "https://example.org/questions/42?a=b#c",
    "source_date": "2021-01-01",
    "category": "sleep",
    "author": "Jane Doe",
}
NONE = dict.fromkeys(DETAILS)


async def add(client: httpx.AsyncClient, **details: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={**NEW, **details})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def details_of(conversation: dict[str, Any]) -> dict[str, Any]:
    return {name: conversation[name] for name in DETAILS}


async def test_they_are_kept_as_given_and_null_when_not(client: httpx.AsyncClient) -> None:
    whole, bare = await add(client, **DETAILS), await add(client)
    assert details_of(whole) == DETAILS
    assert details_of(bare) == NONE
    assert (await client.get(f"{PATH}/{whole['id']}")).json() == whole
    ids = (await client.post(f"{PATH}/bulk", json={"items": [{**NEW, **DETAILS}, NEW]})).json()["ids"]
    listed = (await client.get(PATH, params={"ids": ids})).json()["items"]
    assert [details_of(row) for row in listed] == [DETAILS, NONE]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"source_date": "2021.01.01"}, "2021-01-01"),
        ({"source_date": " 2021/01/01 "}, "2021-01-01"),
        ({"source_url": " HTTP://Example.org:8080/a_(b) "}, "HTTP://Example.org:8080/a_(b)"),
        ({"source_url": "https://[::1]/ä"}, "https://[::1]/ä"),
        ({"category": " panic\u00a0attacks 🙂 "}, "panic\u00a0attacks 🙂"),
        ({"author": 'O\'Neil "%_\\" <b>'}, 'O\'Neil "%_\\" <b>'),
        ({"category": "x" * 64}, "x" * 64),
        ({"author": "🙂" * 128}, "🙂" * 128),
        ({"source_url": "https://example.org/" + "x" * 2028}, "https://example.org/" + "x" * 2028),
    ],
)
async def test_what_is_taken(client: httpx.AsyncClient, given: dict[str, str], kept: str) -> None:
    [name] = given
    assert (await add(client, **given))[name] == kept


@pytest.mark.parametrize(
    "given",
    [
        *({"source_url": url} for url in ("", "javascript:alert(1)", "ftp://example.org", "example.org", "https://")),
        *({"source_url": url} for url in ("https://a b", "https://a\nb", "https://a/<script>", 'https://a/"x', "//a")),
        *({"source_url": url} for url in ("https://a:x/", "https://[", "https://a/\u202etxt", "data:text/html,x")),
        {"source_url": "https://example.org/" + "x" * 2029},
        *({"source_date": day} for day in ("", "2021-1-1", "2021-02-30", "2021.01-01", "01.02.2021", 1609459200)),
        *({"source_date": day} for day in ("2021-01-01T00:00:00Z", "20210101", "\uff12021-01-01", "0000-01-01")),
        *({"category": text} for text in ("", "  ", "x" * 65, "a\nb", "a\x00b", "a\tb", "a\u2028b")),
        *({"author": text} for text in ("x" * 129, "a\r\nb", "a\x7fb", 5)),
    ],
)
async def test_what_is_refused_is_named_and_not_repeated(client: httpx.AsyncClient, given: dict[str, Any]) -> None:
    for answer in (
        await client.post(PATH, json={**NEW, **given}),
        await client.patch(f"{PATH}/1", json=given),
    ):
        problem = assert_problem(answer, 422)
        assert [error["field"] for error in problem["errors"]] == list(given)
        assert "script" not in answer.text
        assert "xxx" not in answer.text


async def test_a_change_of_one_is_a_new_version_and_queued_again(client: httpx.AsyncClient) -> None:
    created = await add(client)
    own = f"{PATH}/{created['id']}"
    for version, (name, value) in enumerate(DETAILS.items(), start=2):
        answer = await client.patch(own, json={name: value}, headers={"If-Match": f'"{version - 1}"'})
        assert (answer.status_code, answer.json()[name], answer.headers["etag"]) == (200, value, f'"{version}-pending"')
        state = (await client.get(f"{own}/index-state")).json()
        assert state["queued_at"] == answer.json()["updated_at"]
        again = await client.patch(own, json={name: value})
        assert again.json() == answer.json()
    assert details_of(answer.json()) == DETAILS


async def test_null_clears_a_field_and_omitted_fields_stay(client: httpx.AsyncClient) -> None:
    created = await add(client, **DETAILS)
    own = f"{PATH}/{created['id']}"
    cleared = (await client.patch(own, json={"category": None})).json()
    assert details_of(cleared) == {**DETAILS, "category": None}
    assert cleared["version"] == 2
    assert (await client.patch(own, json={"category": None})).json() == cleared
    assert details_of((await client.put(own, json=NEW)).json()) == NONE


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"category": "sleep"}, ["whole"]),
    ({"category": ["sleep", "Sleep"]}, ["whole", "other"]),
    ({"author": "jane doe"}, []),
    ({"author": "Jane Doe"}, ["whole"]),
    ({"source_url": DETAILS["source_url"]}, ["whole"]),
    ({"source_date_after": "2021.01.01"}, ["whole"]),
    ({"source_date_after": "2021-01-02"}, []),
    ({"source_date_before": "2021/01/01"}, ["other"]),
    ({"source_date_before": "9999-12-31"}, ["whole", "other"]),
    ({"source_date_empty": "true"}, ["bare"]),
    ({"source_date_empty": "false"}, ["whole", "other"]),
    ({"source_url_empty": "true"}, ["other", "bare"]),
    ({"category_empty": "true", "author_empty": "true"}, ["bare"]),
    ({"category_empty": "false", "category": "nothing"}, []),
]


async def test_lists_and_exports_are_filtered(client: httpx.AsyncClient) -> None:
    rows = {
        "whole": await add(client, **DETAILS),
        "other": await add(client, category="Sleep", source_date="2020-12-31"),
        "bare": await add(client),
    }
    for filters, expected in FILTERS:
        ids = [rows[name]["id"] for name in expected]
        page = (await client.get(PATH, params={**filters, "include_total": True})).json()
        assert ([row["id"] for row in page["items"]], page["total"]) == (ids, len(ids)), filters
        exported = await client.get(f"{PATH}/export", params={**filters, "format": "jsonl"})
        assert [json.loads(line)["id"] for line in exported.text.splitlines()] == ids, filters


async def test_bad_filters_are_named(client: httpx.AsyncClient) -> None:
    for name, value in (("category_empty", "perhaps"), ("source_date_after", "yesterday"), ("source_date_before", "")):
        answer = await client.get(PATH, params={name: value})
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [name]
    for name, value in (("category", "a\nb"), ("source_url", "example.org"), ("author", "")):
        answer = await client.get(PATH, params={name: value})
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [f"{name}.0"]


async def test_an_export_has_them_as_columns(client: httpx.AsyncClient) -> None:
    await add(client, **DETAILS)
    await add(client)
    text = (await client.get(f"{PATH}/export")).text
    whole, bare = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert {name: whole[name] for name in DETAILS} == DETAILS
    assert {name: bare[name] for name in DETAILS} == dict.fromkeys(DETAILS, "")


async def test_the_same_key_with_another_detail_is_another_request(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await client.post(PATH, json=NEW, headers=headers)
    # Said or left out, none is none.
    assert (await client.post(PATH, json={**NEW, **NONE}, headers=headers)).json()["id"] == first.json()["id"]
    assert_problem(await client.post(PATH, json={**NEW, "category": "sleep"}, headers=headers), 422)
