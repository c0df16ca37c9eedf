"""Jobs on a real Redis: their form, and what happens while Redis is away or hangs."""

import asyncio
import base64
import json
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from conversations_api.database import SessionFactory
from conversations_api.outbox.publisher import CeleryPublisher, PublishError
from conversations_api.outbox.relay import OUTBOX_POSTPONED, Relay
from conversations_api.settings import RelaySettings, Settings
from mh_common.jobs import INDEX_QUEUE, IndexJob
from mh_common.settings import RedisSettings
from mh_common.units import conversation_units
from mh_devtools import servers
from mh_devtools.testing.fixtures import RunApp
from mh_devtools.testing.waiting import eventually, until_logged
from structlog.testing import capture_logs

pytestmark = pytest.mark.redis

SOON = RelaySettings(poll_interval=0.01, max_backoff=0.05)


class PrivateRedis:
    """A Redis that a test may stop, start and freeze."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = servers.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self.server = servers.start_redis(self.folder, self.port)

    def stop(self) -> None:
        self.server.process.send_signal(signal.SIGCONT)
        self.server.stop()

    def messages(self) -> list[dict[str, Any]]:
        """Return the queued messages as Celery wrote them, oldest first."""
        with redis.Redis(port=self.port) as client:
            return [json.loads(entry) for entry in cast(list[bytes], client.lrange(INDEX_QUEUE, 0, -1))][::-1]

    def jobs(self) -> list[tuple[str, list[int]]]:
        """Return task name and ids of each queued message, oldest first."""
        found = []
        for message in self.messages():
            _, arguments, _ = json.loads(base64.b64decode(message["body"]))
            found.append((message["headers"]["task"], arguments["ids"]))
        return found


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    if servers.find_redis() is None:
        pytest.skip("Only a Redis on this machine can be stopped and frozen")
    private = PrivateRedis(tmp_path)
    yield private
    private.stop()


@pytest.fixture
async def publisher(private_redis: PrivateRedis) -> AsyncIterator[CeleryPublisher]:
    publisher = CeleryPublisher(private_redis.url)
    yield publisher
    await publisher.close()


@pytest.fixture
async def hanging() -> AsyncIterator[CeleryPublisher]:
    """A publisher whose Redis accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        publisher = CeleryPublisher(f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
        yield publisher
        async with asyncio.timeout(30):
            await publisher.close()


async def fails(publishing: Awaitable[None]) -> None:
    with pytest.raises(PublishError):
        await publishing


async def test_a_message_names_the_task_and_carries_the_ids_as_json(
    private_redis: PrivateRedis, publisher: CeleryPublisher
) -> None:
    await publisher.publish(IndexJob.CREATED, conversation_units([1, 2, 3]))
    await publisher.publish(IndexJob.DELETED, conversation_units((2**63 - 1,)))

    assert private_redis.jobs() == [
        ("CreatedMentalHealthConversationJob", [1, 2, 3]),
        ("DeletedMentalHealthConversationJob", [2**63 - 1]),
    ]
    for message in private_redis.messages():
        assert message["content-type"] == "application/json"
        assert message["headers"]["ignore_result"] is True


async def test_publishing_reuses_its_connections_and_closes_them(private_redis: PrivateRedis) -> None:
    def connections() -> set[str]:
        with redis.Redis(port=private_redis.port) as client:
            own = client.client_id()
            return {one["id"] for one in client.client_list() if one["id"] != str(own)}

    publisher = CeleryPublisher(private_redis.url)
    await publisher.publish(IndexJob.CREATED, conversation_units([1]))
    opened = connections()
    for key in range(2, 50):
        await publisher.publish(IndexJob.CREATED, conversation_units([key]))
    assert opened
    assert connections() == opened

    await publisher.close()
    # Redis notices a closed connection a moment later.
    await eventually(lambda: not connections(), what="no connection is left")


async def test_the_first_message_after_redis_is_back_arrives(
    private_redis: PrivateRedis, publisher: CeleryPublisher
) -> None:
    await publisher.publish(IndexJob.CREATED, conversation_units([1]))
    private_redis.stop()
    await fails(publisher.publish(IndexJob.CREATED, conversation_units([2])))
    await fails(publisher.publish(IndexJob.CREATED, conversation_units([3])))
    private_redis.start()

    await publisher.publish(IndexJob.CREATED, conversation_units([4]))

    assert private_redis.jobs() == [(IndexJob.CREATED, [4])]


async def test_a_restart_between_two_messages_goes_unnoticed(
    private_redis: PrivateRedis, publisher: CeleryPublisher
) -> None:
    await publisher.publish(IndexJob.CREATED, conversation_units([1]))
    private_redis.stop()
    private_redis.start()

    await publisher.publish(IndexJob.CREATED, conversation_units([2]))

    assert private_redis.jobs() == [(IndexJob.CREATED, [2])]


async def test_a_message_after_redis_lost_everything_arrives(
    private_redis: PrivateRedis, publisher: CeleryPublisher
) -> None:
    await publisher.publish(IndexJob.CREATED, conversation_units([1]))
    with redis.Redis(port=private_redis.port) as client:
        client.flushall()

    await publisher.publish(IndexJob.CREATED, conversation_units([2]))

    assert private_redis.jobs() == [(IndexJob.CREATED, [2])]


async def test_a_full_redis_is_a_failed_send(private_redis: PrivateRedis, publisher: CeleryPublisher) -> None:
    with redis.Redis(port=private_redis.port) as client:
        await publisher.publish(IndexJob.CREATED, conversation_units([1]))
        client.config_set("maxmemory", 1)
        await fails(publisher.publish(IndexJob.CREATED, conversation_units([2])))
        client.config_set("maxmemory", 0)

    await publisher.publish(IndexJob.CREATED, conversation_units([3]))

    assert private_redis.jobs() == [(IndexJob.CREATED, [1]), (IndexJob.CREATED, [3])]


async def test_a_frozen_redis_times_out_and_is_used_again_when_it_resumes(
    private_redis: PrivateRedis, publisher: CeleryPublisher
) -> None:
    await publisher.publish(IndexJob.CREATED, conversation_units([1]))
    private_redis.server.process.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(30):  # without time limits of its own it would wait until Redis thaws
        await fails(publisher.publish(IndexJob.CREATED, conversation_units([2])))
        await fails(publisher.publish(IndexJob.CREATED, conversation_units([3])))
    private_redis.server.process.send_signal(signal.SIGCONT)

    await publisher.publish(IndexJob.CREATED, conversation_units([4]))

    jobs = private_redis.jobs()
    # What was sent and not confirmed may have arrived.
    assert jobs[0] == (IndexJob.CREATED, [1])
    assert jobs[-1] == (IndexJob.CREATED, [4])


async def test_hanging_sends_leave_the_shared_threads_to_others(hanging: CeleryPublisher) -> None:
    sends = [asyncio.create_task(hanging.publish(IndexJob.CREATED, conversation_units([key]))) for key in range(100)]
    await asyncio.sleep(0)

    assert await asyncio.to_thread(lambda: "done") == "done"
    assert not any(send.done() for send in sends)

    for send in sends:
        send.cancel()
    await asyncio.wait(sends)


async def test_a_redis_that_never_answers_fails_the_send(hanging: CeleryPublisher) -> None:
    async with asyncio.timeout(30):
        await fails(hanging.publish(IndexJob.UPDATED, conversation_units([1])))


async def test_jobs_written_while_redis_is_down_are_delivered_in_order_when_it_is_back(
    sessions: SessionFactory, outbox: Any, run_relay: Any, private_redis: PrivateRedis, publisher: CeleryPublisher
) -> None:
    private_redis.stop()
    with capture_logs() as logs:
        async with run_relay(Relay(sessions, publisher, SOON)):
            await outbox.add(IndexJob.CREATED, [1, 2])
            await outbox.add(IndexJob.UPDATED, [1])
            await until_logged(logs, OUTBOX_POSTPONED)
            await outbox.add(IndexJob.DELETED, [2])
            private_redis.start()
            await outbox.until_empty()

    assert private_redis.jobs() == [(IndexJob.CREATED, [1, 2]), (IndexJob.UPDATED, [1]), (IndexJob.DELETED, [2])]


async def test_jobs_written_while_redis_is_frozen_are_delivered_when_it_thaws(
    sessions: SessionFactory, outbox: Any, run_relay: Any, private_redis: PrivateRedis, publisher: CeleryPublisher
) -> None:
    await publisher.publish(IndexJob.CREATED, conversation_units([1]))
    private_redis.server.process.send_signal(signal.SIGSTOP)
    with capture_logs() as logs:
        async with run_relay(Relay(sessions, publisher, SOON)):
            await outbox.add(IndexJob.UPDATED, [1])
            await until_logged(logs, OUTBOX_POSTPONED)
            private_redis.server.process.send_signal(signal.SIGCONT)
            await outbox.until_empty()

    # The first try may have arrived as well: at least once.
    assert set(map(str, private_redis.jobs()[1:])) == {str((IndexJob.UPDATED.value, [1]))}


async def test_a_change_through_the_api_reaches_the_queue_without_waiting_for_a_poll(
    outbox: Any, settings: Settings, run_app: RunApp, private_redis: PrivateRedis
) -> None:
    own = {"redis": RedisSettings(url=private_redis.url), "relay": RelaySettings(poll_interval=3600)}
    content = {
        "question": "How do I sleep?",
        "answer": "Slowly.",
        "question_sentiment": "neutral",
        "answer_sentiment": "positive",
    }
    async with run_app(settings.model_copy(update=own)) as client:
        created = (await client.post("/api/v1/conversations", json=content)).json()["id"]
        await outbox.until_empty()
        await client.patch(f"/api/v1/conversations/{created}", json={"answer": "Deeply."})
        await outbox.until_empty()
        await client.delete(f"/api/v1/conversations/{created}")
        await outbox.until_empty()

    assert private_redis.jobs() == [(job, [created]) for job in IndexJob]
