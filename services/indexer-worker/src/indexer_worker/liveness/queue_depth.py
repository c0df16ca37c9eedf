"""Reads the depth of the job queue from Redis."""

from dataclasses import dataclass
from typing import Final

from mh_common.jobs import INDEX_QUEUE
from mh_common.settings import RedisSettings
from redis import Redis, RedisError

REDIS_TIMEOUT_S: Final = 5.0

UNACKED: Final = "unacked"
"""Redis hash in which Celery's transport keeps the messages that workers have taken and not acknowledged."""


@dataclass(frozen=True)
class QueueDepth:
    """How many jobs are waiting in the queue, and how many workers have taken and not finished."""

    waiting: int
    taken: int


class JobQueue:
    """The queue of index jobs. Belongs to the process that first uses it."""

    def __init__(self, settings: RedisSettings) -> None:
        self._url = settings.url
        self._client: Redis | None = None

    def depth(self) -> QueueDepth | None:
        """Return the current depth; None if Redis does not answer."""
        if self._client is None:
            self._client = Redis.from_url(
                self._url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S
            )
        pipeline = self._client.pipeline(transaction=False)
        pipeline.llen(INDEX_QUEUE)
        pipeline.hlen(UNACKED)
        try:
            waiting, taken = pipeline.execute()
        except RedisError:
            return None
        return QueueDepth(int(waiting), int(taken))

    def is_idle(self) -> bool:
        """Return whether no job but the calling one is waiting or taken; False if Redis does not answer."""
        depth = self.depth()
        # The calling job is itself counted as taken.
        return depth is not None and depth.waiting == 0 and depth.taken <= 1

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
