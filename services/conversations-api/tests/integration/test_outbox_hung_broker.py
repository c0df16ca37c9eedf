"""Messages about runs on a real Redis; and a broker that accepts connections and never answers."""

import asyncio
import base64
import json
import socket
from typing import cast

import pytest
import redis
from conversations_api.database import SessionFactory
from conversations_api.outbox.publisher import CeleryPublisher
from conversations_api.outbox.relay import OUTBOX_POSTPONED
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.settings import Settings
from mh_common.jobs import INDEX_QUEUE, RunJob
from mh_common.settings import RedisSettings
from mh_devtools.testing.fixtures import RunApp
from mh_devtools.testing.waiting import until_logged
from structlog.testing import capture_logs

PATH = "/api/v1/conversations"
CONTENT = {"question": "q", "answer": "a", "question_sentiment": "neutral", "answer_sentiment": "positive"}


pytestmark = pytest.mark.redis


async def test_a_message_about_a_run_names_the_task_and_the_run(redis_url: str) -> None:
    url = redis_url.removesuffix("/0") + "/8"
    publisher = CeleryPublisher(url)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        await publisher.publish_run(RunJob.RECONCILE, 7)
        await publisher.publish_run(RunJob.REBUILD, 8)
        queued = [json.loads(entry) for entry in cast(list[bytes], client.lrange(INDEX_QUEUE, 0, -1))][::-1]
    await publisher.close()

    arguments = [json.loads(base64.b64decode(message["body"]))[1] for message in queued]
    assert [message["headers"]["task"] for message in queued] == ["ReconcileIndexJob", "RebuildIndexJob"]
    assert arguments == [{"run_id": 7}, {"run_id": 8}]


async def test_a_hanging_broker_does_not_block_requests(
    settings: Settings, run_app: RunApp, sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations_api.outbox.publisher.SOCKET_TIMEOUT", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as listener, capture_logs() as logs:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        async with run_app(settings.model_copy(update={"redis": RedisSettings(url=url)})) as client:
            created = (await client.post(PATH, json=CONTENT)).json()["id"]
            connection, _ = await asyncio.to_thread(listener.accept)
            with connection:
                # The relay waits for an answer now.
                changed = await client.patch(f"{PATH}/{created}", json={"answer": "b"})
                read = await client.get(f"{PATH}/{created}")
                postponed = OUTBOX_POSTPONED in [line["event"] for line in logs]
                assert not postponed, "the requests were answered while the send still hung"
                await until_logged(logs, OUTBOX_POSTPONED)

    assert (changed.status_code, read.json()["answer"]) == (200, "b")
    async with sessions() as session:
        assert await OutboxRepository(session).depth() == 2
