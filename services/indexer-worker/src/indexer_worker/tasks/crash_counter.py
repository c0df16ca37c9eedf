"""How often a job's process crashed: the job was begun and not ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from mh_common.settings import RedisSettings
from redis import Redis, RedisError

log = structlog.get_logger(__name__)

CRASHES_NOT_COUNTED: Final = "index_job_starts_not_counted"
"""Redis did not answer. A job that ends its process is not found out as long as this lasts."""

KEPT_S: Final = 86_400
REDIS_TIMEOUT_S: Final = 2.0


class CrashCounter:
    """Counts, in Redis and by the job's id, starts that did not end: a message that comes again tells nothing of them.

    The count is a hint and nothing rests on it: Redis may lose it, or be away.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._url = settings.url
        self._client: Redis | None = None

    @contextmanager
    def counted(self, job_id: str) -> Iterator[int]:
        """Count the block as a start that ends, but for the end of its process; yield how many of those there were."""
        begun = self.begin(job_id)
        try:
            yield begun
        finally:
            self._end(job_id)

    def begin(self, job_id: str) -> int:
        """Note a start; return how many were noted and have not ended."""
        key = _key(job_id)
        pipeline = self._redis().pipeline()
        pipeline.incr(key)
        pipeline.expire(key, KEPT_S)
        answers: list[Any] = self._tried(pipeline.execute, default=[1])
        return int(answers[0]) - 1

    def _end(self, job_id: str) -> None:
        self._tried(lambda: self._redis().delete(_key(job_id)), default=0)

    def _redis(self) -> Redis:
        # Late, so that no connection is shared with the process that forked this one.
        if self._client is None:
            self._client = Redis.from_url(
                self._url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S
            )
        return self._client

    def _tried(self, call: Any, default: Any) -> Any:
        try:
            return call()
        except RedisError as error:
            log.warning(CRASHES_NOT_COUNTED, error=type(error).__name__)
            return default


def _key(job_id: str) -> str:
    return f"indexer-worker:starts:{job_id}"
