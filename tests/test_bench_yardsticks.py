"""The baselines of the conversations API write and return the same as the API."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pymysql.cursors
import pytest
from mh_devtools import servers
from mh_devtools.stack.server_stack import ServerStack
from mh_devtools.testing.fixtures import MySQL

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis]

ROW = {
    "question": "Why do I wake at four? 🌙",
    "answer": "Tell me about your evenings.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
}
PATH = "/api/v1/conversations"


@pytest.fixture(scope="module")
def stack(mariadb: MySQL, milvus_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerStack]:
    # A Redis that is not there keeps the outbox rows where they can be looked at.
    nobody = f"redis://127.0.0.1:{servers.free_port()}/0"
    with ServerStack(
        tmp_path_factory.mktemp("yardsticks"),
        mysql_port=mariadb.port,
        redis_url=nobody,
        milvus_uri=milvus_uri,
        database="yardsticks",
        deployed=True,
        rag_app=None,
    ) as running:
        yield running


@pytest.fixture(scope="module", params=["create_app", "create_sync_app"])
def yardstick(stack: ServerStack, request: pytest.FixtureRequest) -> str:
    port = servers.free_port()
    stack.serve(request.param, f"mh_devtools.bench.bare_api:{request.param}", port, "/?limit=1")
    return f"http://127.0.0.1:{port}"


def rows_of(stack: ServerStack, key: int) -> list[dict[str, Any]]:
    """What each table holds of a conversation, times only as whether there is one, the outbox in its order."""
    queries = (
        "SELECT * FROM mental_health_conversations WHERE id = %s",
        "SELECT * FROM index_states WHERE source_id = %s",
        "SELECT * FROM index_outbox WHERE source_id = %s ORDER BY id",
    )
    with closing(stack.connect_to_mysql(stack.database)) as connection:
        cursor = connection.cursor(pymysql.cursors.DictCursor)
        found: list[dict[str, Any]] = []
        for query in queries:
            cursor.execute(query, (key,))
            found += list(cursor.fetchall())
    drop = {"id", "source_id", "claimed_by", "claimed_until"}
    return [
        {name: bool(value) if name.endswith("_at") else value for name, value in row.items() if name not in drop}
        for row in found
    ]


def test_the_same_is_written_and_returned(stack: ServerStack, yardstick: str) -> None:
    with httpx.Client(timeout=30) as http:
        ours = http.post(f"{stack.api_url}{PATH}", json=ROW).raise_for_status().json()["id"]
        theirs = http.post(f"{yardstick}/", json=ROW).raise_for_status().json()["id"]
        assert rows_of(stack, ours) == rows_of(stack, theirs)
        http.patch(f"{stack.api_url}{PATH}/{ours}", json={"question_sentiment": "positive"}).raise_for_status()
        http.patch(f"{yardstick}/{theirs}", json={"question_sentiment": "positive"}).raise_for_status()
        changed = rows_of(stack, ours)
        assert changed == rows_of(stack, theirs)
        assert (changed[0]["version"], len(changed)) == (2, 4)
        one = http.get(f"{stack.api_url}{PATH}/{theirs}").raise_for_status().json()
        assert shown(http.get(f"{yardstick}/{theirs}").raise_for_status().json()) == shown(one)
        page = http.get(f"{stack.api_url}{PATH}?limit=50").raise_for_status().json()["items"]
        assert [shown(row) for row in http.get(f"{yardstick}/?limit=50").raise_for_status().json()] == [
            shown(row) for row in page
        ]


def shown(row: dict[str, Any]) -> dict[str, Any]:
    # The yardsticks leave the zone out.
    return {name: str(value).removesuffix("Z") if name.endswith("_at") else value for name, value in row.items()}
