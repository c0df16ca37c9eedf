"""A restore as its operator lives it: the platform runs on, with the data and the index of the backup's moment."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pymysql
import pytest
from conversations_api.settings import DatabaseSettings
from mh_client import Client, Conversation, ConversationCreate, IndexStatus, Sentiment
from mh_common import vector_index as fields
from mh_devtools import servers
from mh_devtools.database.backup import backup, restore
from mh_devtools.stack.server_stack import answers, migrate
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.fixtures import MySQL
from mh_devtools.testing.waiting import wait_until
from pymilvus import MilvusClient
from redis import Redis

pytestmark = [pytest.mark.e2e, pytest.mark.redis, pytest.mark.slow]


class Platform:
    """One API and one worker on a database, and the index that they share with the next platform."""

    def __init__(self, client: Client, milvus_uri: str) -> None:
        self.client = client
        self._milvus_uri = milvus_uri

    def rows(self) -> list[Conversation]:
        return list(self.client.conversations.iterate(sort="id"))

    def index(self) -> list[tuple[int, int, str]]:
        """Every row of the index: id, version, question."""
        wanted = [fields.ID, fields.VERSION, fields.QUESTION]
        milvus = MilvusClient(self._milvus_uri, dedicated=True)
        try:
            found = milvus.query(
                fields.COLLECTION, filter=f"{fields.ID} > 0", output_fields=wanted, consistency_level="Strong"
            )
        finally:
            milvus.close()
        return sorted((row[fields.ID], row[fields.VERSION], row[fields.QUESTION]) for row in found)

    def agrees(self) -> bool:
        """Whether the index holds what the database holds, and nothing besides."""
        rows = self.rows()
        expected = [(row.id, row.version, row.question) for row in rows]
        return all(row.index_status is IndexStatus.INDEXED for row in rows) and self.index() == expected

    def wait_until_it_agrees(self) -> None:
        wait_until(self.agrees, what="index and database agree")


@contextmanager
def platform(env: dict[str, str], folder: Path) -> Iterator[Platform]:
    """Run the API and the worker while the block lasts."""
    port = servers.free_port()
    url = f"http://127.0.0.1:{port}"
    env = env | {"CONVERSATIONS_URL": url}
    app = ["uvicorn", "--factory", "conversations_api.main:create_app", "--port", str(port)]
    worker = ["celery", "-A", "indexer_worker.celery_app", "worker", "--queues", "index", "--concurrency", "1"]
    with ExitStack() as stack:
        for name, arguments in (("api", app), ("worker", worker)):
            server = servers.start(name, [sys.executable, "-m", *arguments], folder / f"{name}.log", env)
            stack.callback(server.stop)
            if name == "api":
                servers.wait_until(server, lambda: answers(f"{url}/readyz"), timeout=60)
        yield Platform(stack.enter_context(Client(url)), env["MILVUS_URI"])


@pytest.fixture
def environment(redis_url: str, milvus_uri: str, stub_openai: StubOpenAI) -> dict[str, str]:
    milvus = MilvusClient(milvus_uri, dedicated=True)
    milvus.drop_collection(fields.COLLECTION)
    milvus.close()
    own_redis = redis_url.removesuffix("/0") + "/13"
    with Redis.from_url(own_redis) as redis:
        redis.flushdb()
    return os.environ | {
        "REDIS_URL": own_redis,
        "MILVUS_URI": milvus_uri,
        "EMBEDDING_BASE_URL": stub_openai.base_url,
        "EMBEDDING_API_KEY": stub_openai.api_key,
        "EMBEDDING_MODEL": "stub",
        "EMBEDDING_DIMENSION": str(stub_openai.dimension),
    }


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)])
def two_databases(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Addresses of two empty databases."""
    if request.param == "sqlite":
        return [f"sqlite+aiosqlite:///{tmp_path / name}.db" for name in ("first", "second")]
    server: MySQL = request.getfixturevalue("mariadb")
    names = ["restore_first", "restore_second"]
    with pymysql.connect(host="127.0.0.1", port=server.port, user="root") as connection:
        for name in names:
            connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    return [server.url(name) for name in names]


def conversation(number: int) -> ConversationCreate:
    return ConversationCreate(
        question=f"Question {number} about sleep 🙂",
        answer=f"Answer {number}",
        question_sentiment=Sentiment.NEGATIVE,
        answer_sentiment=Sentiment.NEUTRAL,
    )


@pytest.mark.timeout(240)
def test_after_a_restore_rows_and_index_are_those_of_the_backup(
    two_databases: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    first, second = ({**environment, "DATABASE_URL": url} for url in two_databases)
    file = tmp_path / "saved.gz"
    migrate(first)
    with platform(first, tmp_path / "first") as before:
        ids = before.client.conversations.bulk_create([conversation(n) for n in range(150)])
        before.client.conversations.update(ids[0], question="Changed before the backup")
        before.client.conversations.delete(ids[-1])
        before.wait_until_it_agrees()
        saved = before.rows()

        digests = backup(DatabaseSettings(url=two_databases[0]).address, file)

        before.client.conversations.update(ids[1], question="Changed after the backup")
        before.client.conversations.bulk_delete(ids[2:10])
        before.client.conversations.bulk_create([conversation(n) for n in range(1000, 1010)])
        before.wait_until_it_agrees()

    assert restore(DatabaseSettings(url=two_databases[1]).address, file) == digests

    with platform(second, tmp_path / "second") as after:
        after.wait_until_it_agrees()
        assert [row.model_dump() for row in after.rows()] == [row.model_dump() for row in saved]
        assert digests["mental_health_conversations"].rows == len(saved) == 149
        new = after.client.conversations.create(**conversation(2000).model_dump())
        assert new.id > ids[-1]
        after.wait_until_it_agrees()
