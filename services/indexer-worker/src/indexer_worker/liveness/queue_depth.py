"""The depth of the job queue, as Redis tells."""

from dataclasses import dataclass
from typing import Final

from mh_common.jobs import INDEX_QUEUE
from mh_common.settings import RedisSettings
from redis import Redis, RedisError

REDIS_TIMEOUT_S: Final = 5.0

UNACKED: Final = "unacked"
"""Where Celery's transport keeps what a worker has taken and not done yet."""


@dataclass(frozen=True)
class QueueDepth:
    """How many jobs no worker has taken yet, and how many are with one."""

    waiting: int
    taken: int


class JobQueue:
    """Looks at the queue of index jobs. Belongs to the process that first uses it."""

    def __init__(self, settings: RedisSettings) -> None:
        self._url = settings.url
        self._client: Redis | None = None

    def depth(self) -> QueueDepth | None:
        """Return the present depth; None when Redis does not answer."""
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
        """Say, for the job that asks, whether no other job waits or is with a worker; no when Redis does not answer."""
        depth = self.depth()
        # The one that is taken asks.
        return depth is not None and depth.waiting == 0 and depth.taken <= 1

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
