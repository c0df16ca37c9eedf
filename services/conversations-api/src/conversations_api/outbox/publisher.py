"""The way to the job queue: Celery messages on Redis."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

from celery import Celery
from kombu.exceptions import KombuError
from mh_common.jobs import INDEX_QUEUE, IndexJob, RunJob, job_arguments
from mh_common.tracing import TRACEPARENT, traceparent
from mh_common.units import UnitKey
from redis.exceptions import RedisError

SOCKET_TIMEOUT: Final = 1.0
"""Seconds that Redis may take to accept a connection, and again to answer."""


class PublishError(Exception):
    """The queue did not confirm the job. It may have taken it all the same."""


class Publisher(Protocol):
    """Takes jobs to the queue."""

    async def publish(self, job: IndexJob, units: Sequence[UnitKey]) -> None:
        """Queue one message about 1 to 64 units of one kind; return once the queue has it.

        Raises only `PublishError`.
        """
        ...

    async def publish_run(self, job: RunJob, run_id: int) -> None:
        """Queue one message that tells of a run; return once the queue has it. Raises only `PublishError`."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class CeleryPublisher:
    """Publishes to Redis in Celery's message format, over a connection that is opened again when it was lost."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery("conversations_api", broker=redis_url, set_as_current=False)
        self._app.conf.update(
            broker_transport_options={
                "socket_timeout": SOCKET_TIMEOUT,
                "socket_connect_timeout": SOCKET_TIMEOUT,
                # The relay tries again, with growing delays. Tries in here would multiply the timeouts.
                "max_retries": 0,
            },
            task_publish_retry=False,
            task_serializer="json",
        )
        # Of its own, since Celery's pools belong to the whole process: one application's close would be everybody's.
        self._connection = self._app.connection_for_write()
        self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)
        # A thread of its own: while Redis hangs, the event loop's shared threads stay free for others.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="publisher")

    async def publish(self, job: IndexJob, units: Sequence[UnitKey]) -> None:
        """See `Publisher.publish`; fails within two seconds when Redis does not answer."""
        await self._publish(job.value, job_arguments(units))

    async def publish_run(self, job: RunJob, run_id: int) -> None:
        """See `Publisher.publish_run`; fails within two seconds when Redis does not answer."""
        await self._publish(job.value, {"run_id": run_id})

    async def _publish(self, task: str, kwargs: dict[str, Any]) -> None:
        # Read here: the thread does not know of the span under way.
        headers = {} if (parent := traceparent()) is None else {TRACEPARENT: parent}
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._send, task, kwargs, headers)
        except (KombuError, RedisError, OSError) as error:
            raise PublishError(type(error.__cause__ or error).__name__) from error

    def _send(self, task: str, kwargs: dict[str, Any], headers: dict[str, str]) -> None:
        self._app.send_task(
            task, kwargs=kwargs, queue=INDEX_QUEUE, ignore_result=True, producer=self._producer, headers=headers
        )

    async def close(self) -> None:
        """Wait for a message on its way, then close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    def _disconnect(self) -> None:
        self._connection.release()
        self._app.close()
