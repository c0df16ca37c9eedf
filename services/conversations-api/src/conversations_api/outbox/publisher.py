"""Publishes Celery messages to the job queue on Redis."""

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
"""Timeout in seconds for connecting to Redis, and again for its answer."""


class PublishError(Exception):
    """The queue did not confirm the job. It may have received it nevertheless."""


class Publisher(Protocol):
    """Publishes jobs to the queue."""

    async def publish(self, job: IndexJob, units: Sequence[UnitKey]) -> None:
        """Queue one message about 1 to 64 units of one kind; return once the queue has it.

        Raises only `PublishError`.
        """
        ...

    async def publish_run(self, job: RunJob, run_id: int) -> None:
        """Queue one message about a run; return once the queue has it. Raises only `PublishError`."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class CeleryPublisher:
    """Publishes to Redis in Celery's message format, over a connection that is reopened when it is lost."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery("conversations_api", broker=redis_url, set_as_current=False)
        self._app.conf.update(
            broker_transport_options={
                "socket_timeout": SOCKET_TIMEOUT,
                "socket_connect_timeout": SOCKET_TIMEOUT,
                # The relay retries with growing delays. Retries here would multiply the timeouts.
                "max_retries": 0,
            },
            task_publish_retry=False,
            task_serializer="json",
        )
        # A connection of its own, since Celery's pools are global to the process: closing them would affect other apps.
        self._connection = self._app.connection_for_write()
        self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)
        # A thread of its own: if Redis hangs, the event loop's default executor remains available.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="publisher")

    async def publish(self, job: IndexJob, units: Sequence[UnitKey]) -> None:
        """See `Publisher.publish`; fails within two seconds if Redis does not answer."""
        await self._publish(job.value, job_arguments(units))

    async def publish_run(self, job: RunJob, run_id: int) -> None:
        """See `Publisher.publish_run`; fails within two seconds if Redis does not answer."""
        await self._publish(job.value, {"run_id": run_id})

    async def _publish(self, task: str, kwargs: dict[str, Any]) -> None:
        # Read here, because the thread does not have the current span.
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
        """Wait for a message that is being sent, then close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    def _disconnect(self) -> None:
        self._connection.release()
        self._app.close()
