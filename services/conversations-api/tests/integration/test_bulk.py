"""Many conversations in one request."""

from typing import Any

import httpx
from mh_common.models import FoundAdvice
from mh_devtools.testing.fixtures import RunQuery

PATH = "/api/v1/conversations"


def row(number: int, text: str = "") -> dict[str, str]:
    sentiment = ("positive", "negative", "neutral")[number % 3]
    return {
        "question": f"question {number} {text}".strip(),
        "answer": f"answer {number}",
        "question_sentiment": sentiment,
        "answer_sentiment": "neutral",
    }


async def test_a_thousand_rows_get_ids_in_their_order(client: httpx.AsyncClient, query: RunQuery) -> None:
    rows = [row(number) for number in range(1000)]
    answer = await client.post(f"{PATH}/bulk", json={"items": rows})
    assert answer.status_code == 201
    ids = answer.json()["ids"]
    assert ids == sorted(set(ids))
    stored = await query("SELECT id, question, version FROM mental_health_conversations ORDER BY id")
    assert stored == [(id_, item["question"], 1) for id_, item in zip(ids, rows, strict=True)]
    assert await query("SELECT count(DISTINCT created_at) FROM mental_health_conversations") == [(1,)]
    pending = await query("SELECT source_id FROM index_states WHERE status = 'pending' ORDER BY source_id")
    assert pending == [(id_,) for id_ in ids]


async def test_rows_of_many_megabytes_are_taken(client: httpx.AsyncClient) -> None:
    """More than one statement may carry: MariaDB refuses packets above 16 MiB."""
    # Quotes and backslashes take twice their size in a statement.
    texts = ["\\'" * 500_000] * 9 + ["🙂" * 1_000_000] * 4
    rows = [{**row(number), "question": text, "answer": text} for number, text in enumerate(texts)]
    answer = await client.post(f"{PATH}/bulk", json={"items": rows})
    assert answer.status_code == 201, answer.text
    for id_, item in zip(answer.json()["ids"], rows, strict=True):
        assert (await client.get(f"{PATH}/{id_}")).json()["question"] == item["question"]


async def test_one_bad_row_is_named_and_nothing_is_added(client: httpx.AsyncClient, row_counts: Any) -> None:
    rows = [row(number) for number in range(10)]
    rows[3]["answer"] = " "
    rows[7] = {**rows[7], "question_sentiment": "angry", "extra": "x"}
    answer = await client.post(f"{PATH}/bulk", json={"items": rows})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {(error["row"], error["field"]) for error in answer.json()["errors"]}
    assert errors == {(3, "items.3.answer"), (7, "items.7.question_sentiment"), (7, "items.7.extra")}
    assert await row_counts() == {}


async def test_a_bulk_has_one_to_a_thousand_rows(client: httpx.AsyncClient) -> None:
    bad: tuple[object, ...] = ([], [row(0)] * 1001, None, {})
    for items in bad:
        answer = await client.post(f"{PATH}/bulk", json={"items": items})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["items"]


async def test_bulk_delete_deletes_what_is_there(client: httpx.AsyncClient, query: RunQuery) -> None:
    ids = (await client.post(f"{PATH}/bulk", json={"items": [row(number) for number in range(5)]})).json()["ids"]
    answer = await client.post(f"{PATH}/bulk-delete", json={"ids": [ids[1], ids[3], ids[3], 424242]})
    assert (answer.status_code, answer.json()) == (200, {"deleted": 2})
    left = [(ids[0],), (ids[2],), (ids[4],)]
    assert await query("SELECT id FROM mental_health_conversations ORDER BY id") == left
    assert await query("SELECT source_id FROM index_states ORDER BY source_id") == left
    assert (await client.post(f"{PATH}/bulk-delete", json={"ids": [ids[1]]})).json() == {"deleted": 0}


async def test_bulk_delete_wants_one_to_a_thousand_ids(client: httpx.AsyncClient) -> None:
    for ids in ([], [0], ["x"], [2**63], list(range(1, 1002))):
        assert (await client.post(f"{PATH}/bulk-delete", json={"ids": ids})).status_code == 422


async def test_stats_count_everything_and_name_what_is_absent(client: httpx.AsyncClient, query: RunQuery) -> None:
    nothing = (await client.get(f"{PATH}/stats")).json()
    assert nothing["total"] == 0
    assert nothing["question_sentiment"] == {"positive": 0, "negative": 0, "neutral": 0}
    assert nothing["index_status"] == {"pending": 0, "indexed": 0, "failed": 0}
    assert nothing["risk_level"] == {"none": 0, "low": 0, "elevated": 0, "acute": 0}
    assert nothing["unsafe_advice"] == dict.fromkeys(FoundAdvice, 0)
    assert nothing["per_month"] == []

    ids = (await client.post(f"{PATH}/bulk", json={"items": [row(number) for number in range(7)]})).json()["ids"]
    set_created = "UPDATE mental_health_conversations SET created_at = :at WHERE id BETWEEN :first AND :last"
    await query(set_created, at="2025-12-31 23:59:59.999999", first=ids[0], last=ids[0])
    await query(set_created, at="2026-01-01 00:00:00.000000", first=ids[1], last=ids[-1])
    set_status = "UPDATE index_states SET status = :status WHERE source_id = :id"
    await query(set_status, status="failed", id=ids[1])
    await query(set_status, status="indexed", id=ids[2])
    await query("DELETE FROM index_states WHERE source_id = :id", id=ids[3])
    set_level = "UPDATE index_states SET risk_level = :level WHERE source_id BETWEEN :first AND :last"
    await query(set_level, level="acute", first=ids[4], last=ids[5])
    await query(set_level, level="none", first=ids[6], last=ids[6])
    set_advice = "UPDATE index_states SET unsafe_advice = :kind WHERE source_id BETWEEN :first AND :last"
    await query(set_advice, kind="delay", first=ids[4], last=ids[5])
    stats = (await client.get(f"{PATH}/stats")).json()
    assert stats["total"] == 7
    assert stats["question_sentiment"] == {"positive": 3, "negative": 2, "neutral": 2}
    assert stats["answer_sentiment"] == {"positive": 0, "negative": 0, "neutral": 7}
    assert stats["per_month"] == [{"month": "2025-12", "count": 1}, {"month": "2026-01", "count": 6}]
    assert stats["index_status"] == {"pending": 5, "indexed": 1, "failed": 1}
    assert stats["risk_level"] == {"none": 1, "low": 0, "elevated": 0, "acute": 2}
    assert stats["unsafe_advice"] == {kind: 2 if kind == "delay" else 0 for kind in FoundAdvice}
    pairs = {(pair["question_sentiment"], pair["answer_sentiment"]): pair["count"] for pair in stats["pairs"]}
    assert len(pairs) == 9
    assert pairs["positive", "neutral"] == 3
    assert pairs["positive", "negative"] == 0
