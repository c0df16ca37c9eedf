"""The risk level and unsafe advice that the worker reports: shown, filtered by, and never those of another version."""

import csv
import io
import json
from typing import Any

import httpx
import pytest
from mh_common.models import INTERNAL_INDEX, FoundAdvice
from mh_common.units import conversation_unit
from mh_devtools.testing.responses import assert_problem

PATH = "/api/v1/conversations"
NEW = {"question": "q", "answer": "a", "question_sentiment": "negative", "answer_sentiment": "neutral"}
RULES = "lexicon-1+advice-1"


async def add(client: httpx.AsyncClient) -> int:
    return int((await client.post(PATH, json=NEW)).json()["id"])


def unit(key: int, version: int = 1) -> dict[str, Any]:
    return {**conversation_unit(key)._asdict(), "version": version}


def screening(
    key: int, level: str | None, version: int = 1, rules: str | None = RULES, advice: str | None = None
) -> dict[str, Any]:
    return {**unit(key, version), "risk_level": level, "unsafe_advice": advice, "screened_by": rules}


async def report(client: httpx.AsyncClient, *screenings: dict[str, Any], indexed: bool = True) -> Any:
    """Report as a job does; not `indexed`: as a rebuild does."""
    units = ({name: one[name] for name in ("kind", "source_id", "ordinal", "version")} for one in screenings)
    outcomes = [{**one, "status": "indexed"} for one in units] if indexed else []
    answer = await client.post(f"{INTERNAL_INDEX}/reports", json={"outcomes": outcomes, "screenings": screenings})
    assert answer.status_code == 200, answer.text
    return answer.json()["versions"]


async def read(client: httpx.AsyncClient, key: int) -> dict[str, Any]:
    row: dict[str, Any] = (await client.get(f"{PATH}/{key}")).json()
    return row


async def listed(client: httpx.AsyncClient, **filters: Any) -> list[int]:
    page = (await client.get(PATH, params={**filters, "include_total": True})).json()
    ids = [row["id"] for row in page["items"]]
    assert page["total"] == len(ids)
    return ids


async def screened_by(client: httpx.AsyncClient, key: int) -> Any:
    return (await client.get(f"{PATH}/{key}/index-state")).json()["screened_by"]


async def test_a_reported_level_is_shown_and_changes_neither_version_nor_time(client: httpx.AsyncClient) -> None:
    key = await add(client)
    new = await client.get(f"{PATH}/{key}")
    assert new.json()["risk_level"] is None

    await report(client, screening(key, "acute", advice="leaving_alone"))

    shown = await client.get(f"{PATH}/{key}", headers={"If-None-Match": new.headers["etag"]})
    found = {"risk_level": "acute", "unsafe_advice": "leaving_alone"}
    assert shown.json() == {**new.json(), **found, "index_status": "indexed"}
    assert shown.headers["etag"] == '"1-indexed-acute-leaving_alone"'
    assert await screened_by(client, key) == RULES
    # A new level alone is a new representation as well, and none that an edit could conflict with.
    for level, advice in (("low", "leaving_alone"), ("low", "none")):
        seen = shown.headers["etag"]
        await report(client, screening(key, level, rules="lexicon-2", advice=advice))
        shown = await client.get(f"{PATH}/{key}", headers={"If-None-Match": seen})
        assert (shown.status_code, shown.json()["risk_level"], shown.json()["unsafe_advice"]) == (200, level, advice)
    changed = await client.patch(f"{PATH}/{key}", json={"answer": "b"}, headers={"If-Match": shown.headers["etag"]})
    assert (changed.status_code, changed.json()["risk_level"]) == (200, None)


async def test_lists_exports_and_statistics_go_by_the_level(client: httpx.AsyncClient) -> None:
    acute, elevated, none, waiting = [await add(client) for _ in range(4)]
    levels = ((acute, "acute"), (elevated, "elevated"), (none, "none"))
    await report(client, *(screening(key, level) for key, level in levels))

    for filters, expected in (
        ({"risk_level": "acute"}, [acute]),
        ({"risk_level": ["elevated", "acute"]}, [acute, elevated]),
        ({"risk_level": "none"}, [none]),
        ({"risk_level": "low"}, []),
        ({"risk_level_empty": "true"}, [waiting]),
        ({"risk_level_empty": "false"}, [acute, elevated, none]),
        ({"risk_level": "acute", "risk_level_empty": "true"}, []),
        ({"risk_level": ["elevated", "acute"], "ids": [elevated, none]}, [elevated]),
        ({"risk_level": ["elevated", "acute"], "sort": "-created_at"}, [elevated, acute]),
    ):
        assert await listed(client, **filters) == expected, filters
    exported = await client.get(f"{PATH}/export", params={"risk_level": ["elevated", "acute"]})
    rows = csv.DictReader(io.StringIO(exported.text, newline=""), strict=True)
    assert [(int(row["id"]), row["risk_level"]) for row in rows] == [(acute, "acute"), (elevated, "elevated")]
    lines = (await client.get(f"{PATH}/export", params={"format": "jsonl"})).text.splitlines()
    assert [json.loads(line)["risk_level"] for line in lines] == ["acute", "elevated", "none", None]
    stats = (await client.get(f"{PATH}/stats")).json()
    assert stats["risk_level"] == {"none": 1, "low": 0, "elevated": 1, "acute": 1}


async def test_lists_exports_and_statistics_go_by_the_kind_of_advice(client: httpx.AsyncClient) -> None:
    medication, alone, none, waiting = [await add(client) for _ in range(4)]
    kinds = ((medication, "medication"), (alone, "leaving_alone"), (none, "none"))
    await report(client, *(screening(key, "none", advice=kind) for key, kind in kinds))

    for filters, expected in (
        ({"unsafe_advice": "medication"}, [medication]),
        ({"unsafe_advice": ["leaving_alone", "medication"]}, [medication, alone]),
        ({"unsafe_advice": "none"}, [none]),
        ({"unsafe_advice": "delay"}, []),
        ({"unsafe_advice_empty": "true"}, [waiting]),
        ({"unsafe_advice_empty": "false"}, [medication, alone, none]),
        ({"unsafe_advice": ["leaving_alone", "medication"], "risk_level": "none", "sort": "-id"}, [alone, medication]),
    ):
        assert await listed(client, **filters) == expected, filters
    assert_problem(await client.get(PATH, params={"unsafe_advice": "bad"}), 400)
    exported = await client.get(f"{PATH}/export", params={"unsafe_advice": ["leaving_alone", "medication"]})
    rows = csv.DictReader(io.StringIO(exported.text, newline=""), strict=True)
    assert [(int(row["id"]), row["unsafe_advice"]) for row in rows] == list(kinds[:2])
    stats = (await client.get(f"{PATH}/stats")).json()
    assert stats["unsafe_advice"] == {kind: int(kind in dict(kinds).values()) for kind in FoundAdvice}


async def test_a_page_of_a_filtered_list_follows_the_one_before(client: httpx.AsyncClient) -> None:
    keys = [await add(client) for _ in range(5)]
    await report(client, *(screening(key, "acute") for key in keys[::2]))
    params: dict[str, Any] = {"risk_level": "acute", "limit": 2, "sort": "-updated_at"}
    first = (await client.get(PATH, params=params)).json()
    rest = (await client.get(PATH, params={**params, "cursor": first["next_cursor"]})).json()
    assert [row["id"] for row in first["items"] + rest["items"]] == keys[::-2]
    assert rest["next_cursor"] is None


async def test_a_change_forgets_the_level_until_the_new_version_is_screened(client: httpx.AsyncClient) -> None:
    key = await add(client)
    await report(client, screening(key, "acute", advice="delay"))

    changed = await client.patch(f"{PATH}/{key}", json={"question": "another"})
    assert (changed.json()["version"], changed.json()["risk_level"]) == (2, None)
    assert changed.json()["unsafe_advice"] is None
    assert await read(client, key) == changed.json()
    assert await listed(client, risk_level="acute") == []
    assert await screened_by(client, key) is None

    # A late report of the version before says nothing about this one.
    assert await report(client, screening(key, "acute", version=1)) == [unit(key, 2)]
    assert (await read(client, key))["risk_level"] is None
    await report(client, screening(key, "elevated", version=2))
    assert await report(client, screening(key, "acute", version=1)) == [unit(key, 2)]
    assert (await read(client, key))["risk_level"] == "elevated"
    assert await listed(client, risk_level="elevated") == [key]


async def test_a_conversation_queued_again_keeps_its_level(client: httpx.AsyncClient) -> None:
    key = await add(client)
    await report(client, screening(key, "acute"))
    assert (await client.post(f"{PATH}/{key}/reindex")).status_code == 202
    row = await read(client, key)
    assert (row["index_status"], row["risk_level"]) == ("pending", "acute")


async def test_a_report_that_it_is_not_screened_erases_the_level(client: httpx.AsyncClient) -> None:
    key = await add(client)
    await report(client, screening(key, "acute", advice="delay"))
    await report(client, screening(key, None, rules=None))
    row = await read(client, key)
    assert (row["risk_level"], row["unsafe_advice"]) == (None, None)
    assert await screened_by(client, key) is None
    # An older worker says nothing of it, which changes nothing.
    await report(client, screening(key, "low"))
    outcomes = [{**unit(key), "status": "indexed"}]
    assert (await client.post(f"{INTERNAL_INDEX}/reports", json={"outcomes": outcomes})).status_code == 200
    assert (await read(client, key))["risk_level"] == "low"


async def test_a_rebuild_reports_levels_and_no_outcome(client: httpx.AsyncClient) -> None:
    key, gone = await add(client), await add(client)
    await client.delete(f"{PATH}/{gone}")

    assert await report(client, screening(key, "acute"), screening(gone, "low"), indexed=False) == []

    row = await read(client, key)
    assert (row["index_status"], row["risk_level"]) == ("pending", "acute")
    page = (await client.get(f"{INTERNAL_INDEX}/versions", params={"kind": "conversation"})).json()
    assert [(item["source_id"], item["screened_by"]) for item in page["items"]] == [(key, RULES)]
    since = {"kind": "conversation", "since": row["updated_at"]}
    page = (await client.get(f"{INTERNAL_INDEX}/versions", params=since)).json()
    assert [item["screened_by"] for item in page["items"]] == [RULES]


async def test_a_worker_of_the_release_before_reports_no_advice(client: httpx.AsyncClient) -> None:
    key = await add(client)
    await report(client, screening(key, "low", advice="delay"))
    old = {**unit(key), "risk_level": "acute", "screened_by": "lexicon-1"}
    await report(client, old)
    row = await read(client, key)
    assert (row["risk_level"], row["unsafe_advice"]) == ("acute", None)


@pytest.mark.parametrize("name", ["risk_level", "unsafe_advice"])
async def test_nobody_but_the_worker_sends_what_was_found(client: httpx.AsyncClient, name: str) -> None:
    key = await add(client)
    sent = {name: "none"}
    for answer in (
        await client.post(PATH, json={**NEW, **sent}),
        await client.put(f"{PATH}/{key}", json={**NEW, **sent}),
        await client.patch(f"{PATH}/{key}", json=sent),
        await client.post(f"{PATH}/bulk", json={"items": [{**NEW, **sent}]}),
    ):
        problem = assert_problem(answer, 422)
        assert [error["field"].rpartition(".")[2] for error in problem["errors"]] == [name]


@pytest.mark.parametrize(
    "wrong",
    [
        {"risk_level": "acute"},
        {"screened_by": RULES},
        {"risk_level": "severe", "screened_by": RULES},
        {"unsafe_advice": "delay"},
        {"unsafe_advice": "delay", "screened_by": RULES},
        {"risk_level": "acute", "unsafe_advice": "bad", "screened_by": RULES},
        {"risk_level": "acute", "screened_by": "x" * 65},
        {"risk_level": "acute", "screened_by": "a b"},
        {"risk_level": "acute", "screened_by": RULES, "version": 0},
    ],
)
async def test_a_screening_that_says_nothing_clear_is_refused(client: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    body = {"screenings": [{**unit(1), **wrong}]}
    assert_problem(await client.post(f"{INTERNAL_INDEX}/reports", json=body), 422)
