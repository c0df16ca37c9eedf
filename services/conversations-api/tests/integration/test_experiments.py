"""Experiments: stored, listed newest first, filtered by data set, deleted."""

from typing import Any

import httpx
import pytest

PATH = "/api/v1/experiments"
HASH, OTHER_HASH = "0a" * 32, "0b" * 32
FIGURES = {"hit@3": {"value": 0.5, "low": 0.0, "high": 1.0}}
NEW: dict[str, Any] = {
    "kind": "search",
    "name": "mode=hybrid",
    "configuration": {"mode": "hybrid", "filters": {"question_sentiment": ["negative"]}, "umlaut": "ä 🙂"},
    "data_set": {"name": "queries.jsonl", "sha256": HASH, "cases": 2},
    "metrics": {"figures": FIGURES, "themes": {"sleep": {"cases": 1, "figures": FIGURES}}},
    "per_case": {"hit@3": [1.0, 0.0]},
    "duration_seconds": 0.123456789,
    "note": "a note",
}
KEY = {"Idempotency-Key": "key-1"}
# Where no statement is sent, one database tells it all.
ON_SQLITE = pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)


async def test_an_experiment_is_returned_as_it_was_stored(client: httpx.AsyncClient) -> None:
    created = await client.post(PATH, json=NEW)
    assert created.status_code == 201
    summary = created.json()
    assert created.headers["location"] == f"{PATH}/{summary['id']}"
    assert {**summary, "per_case": NEW["per_case"]} == {**NEW, "id": summary["id"], "created_at": summary["created_at"]}

    detail = (await client.get(created.headers["location"])).json()
    assert detail == {**summary, "per_case": NEW["per_case"]}
    assert (await client.get(PATH)).json() == {"items": [summary], "next_cursor": None}


async def test_pages_are_newest_first_and_of_one_data_set_where_asked(client: httpx.AsyncClient) -> None:
    ids = []
    for number in range(5):
        data_set = {**NEW["data_set"], "sha256": OTHER_HASH if number == 2 else HASH}
        ids.append((await client.post(PATH, json={**NEW, "data_set": data_set})).json()["id"])
    newest_first = sorted(ids, reverse=True)

    found, cursor = [], None
    while True:
        page = (await client.get(PATH, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        # One that comes meanwhile moves nothing.
        await client.post(PATH, json=NEW)
    assert found == newest_first

    only = (await client.get(PATH, params={"data_set_sha256": OTHER_HASH})).json()
    assert [item["id"] for item in only["items"]] == [ids[2]]


async def test_experiments_of_answers_are_told_apart(client: httpx.AsyncClient) -> None:
    answers = {**NEW, "kind": "answers", "per_case": {"hit@3": [None, 0.0]}}
    kept = [(await client.post(PATH, json=one)).json() for one in (NEW, answers)]
    for number, kind in enumerate(("search", "answers")):
        page = (await client.get(PATH, params={"kind": kind})).json()
        assert page["items"] == [kept[number]]
        assert kept[number]["kind"] == kind
    assert (await client.get(f"{PATH}/{kept[1]['id']}")).json()["per_case"] == {"hit@3": [None, 0.0]}
    assert (await client.get(PATH, params={"kind": "other"})).status_code in (400, 422)
    # As clients of the release before send it.
    former = {name: value for name, value in NEW.items() if name != "kind"}
    assert (await client.post(PATH, json=former)).json()["kind"] == "search"


async def test_the_same_request_again_keeps_one(client: httpx.AsyncClient, row_counts: Any) -> None:
    first = await client.post(PATH, json=NEW, headers=KEY)
    again = await client.post(PATH, json=NEW, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert (again.headers["idempotent-replayed"], again.headers["location"]) == ("true", first.headers["location"])
    assert (await client.post(PATH, json={**NEW, "note": None}, headers=KEY)).status_code == 422
    assert (await row_counts())["experiments"] == 1


async def test_a_deleted_experiment_is_gone(client: httpx.AsyncClient, row_counts: Any) -> None:
    path = (await client.post(PATH, json=NEW)).headers["location"]
    assert (await client.delete(path)).status_code == 204
    for method in ("GET", "DELETE"):
        gone = await client.request(method, path)
        assert (gone.status_code, gone.headers["content-type"]) == (404, "application/problem+json")
    assert "experiments" not in await row_counts()


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return `NEW` with one field, named by its path, changed."""
    first, _, rest = path.partition(".")
    return {**NEW, first: {**NEW[first], rest: value} if rest else value}


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (changed("name", " "), "at least 1 character"),
        (changed("name", "x" * 201), "at most 200 characters"),
        (changed("note", "x" * 2001), "at most 2000 characters"),
        (changed("configuration", {"k": "ä" * 10_000}), "at most 16,384 bytes of JSON"),
        (changed("configuration", ["no object"]), "must be a JSON object"),
        (changed("data_set.sha256", "0A" * 32), "should match pattern"),
        (changed("data_set.cases", 0), "greater than or equal to 1"),
        (changed("data_set.cases", 3), "data_set.cases values for each measure"),
        (changed("data_set.cases", 10_001), "less than or equal to 10000"),
        (changed("per_case", {"mrr@10": [1.0, 0.0]}), "same measures"),
        (changed("per_case", {"hit@3": [1.0, 1.1]}), "less than or equal to 1"),
        (changed("metrics", {"figures": {}}), "at least 1 item"),
        (changed("metrics", {"figures": {"hit@3": {"value": 0.5, "low": 0.6, "high": 0.5}}}), "low must not be above"),
        (changed("metrics", {"figures": {"bad name": FIGURES["hit@3"]}}), "should match pattern"),
        (changed("duration_seconds", -1), "greater than or equal to 0"),
        ({**NEW, "id": 3}, "is unknown"),
    ],
)
async def test_an_invalid_experiment_is_rejected_with_the_reason(
    client: httpx.AsyncClient, body: dict[str, Any], words: str
) -> None:
    refused = await client.post(PATH, json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert words in refused.text


@ON_SQLITE
@pytest.mark.parametrize("text", ['{"k": NaN}', '{"k": -Infinity}', '{"k":' + "[" * 3000 + "]" * 3000 + "}"])
async def test_json_that_not_every_parser_accepts_is_rejected(client: httpx.AsyncClient, text: str) -> None:
    body = f'{{"name": "n", "configuration": {text}}}'
    refused = await client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code in (400, 422)
    assert refused.headers["content-type"] == "application/problem+json"


@ON_SQLITE
@pytest.mark.parametrize("target", ["/0", "/x", "?cursor=0", "?limit=0", "?limit=201", "?data_set_sha256=12"])
async def test_bad_parameters_are_bad_requests(client: httpx.AsyncClient, target: str) -> None:
    refused = await client.get(f"{PATH}{target}")
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")


async def test_the_examples_of_the_document_are_accepted(client: httpx.AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"][PATH]["post"]
    for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
        assert (await client.post(PATH, json=example["value"])).status_code == 201
