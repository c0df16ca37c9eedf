"""Counts how often a job crashed its process, that is, started and did not end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from mh_common.settings import RedisSettings
from redis import Redis, RedisError

log = structlog.get_logger(__name__)

CRASHES_NOT_COUNTED: Final = "index_job_starts_not_counted"
"""Redis did not answer. As long as this lasts, jobs that crash their process are not detected."""

TTL_S: Final = 86_400
REDIS_TIMEOUT_S: Final = 2.0


class CrashCounter:
    """Counts in Redis, by job id, the starts that did not end: a redelivered message does not tell.

    The count is only a hint: Redis may lose it or be unreachable.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._url = settings.url
        self._client: Redis | None = None

    @contextmanager
    def count(self, job_id: str) -> Iterator[int]:
        """Record the start and the end of the block; yield how many earlier starts did not end, that is, crashed."""
        crashes = self.record_start(job_id)
        try:
            yield crashes
        finally:
            self._end(job_id)

    def record_start(self, job_id: str) -> int:
        """Record a start; return how many earlier ones have not ended."""
        key = _key(job_id)
        pipeline = self._redis().pipeline()
        pipeline.incr(key)
        pipeline.expire(key, TTL_S)
        answers: list[Any] = self._try(pipeline.execute, default=[1])
        return int(answers[0]) - 1

    def _end(self, job_id: str) -> None:
        self._try(lambda: self._redis().delete(_key(job_id)), default=0)

    def _redis(self) -> Redis:
        # Created late, so that no connection is shared with the process that forked this one.
        if self._client is None:
            self._client = Redis.from_url(
                self._url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S
            )
        return self._client

    def _try(self, call: Any, default: Any) -> Any:
        try:
            return call()
        except RedisError as error:
            log.warning(CRASHES_NOT_COUNTED, error=type(error).__name__)
            return default


def _key(job_id: str) -> str:
    return f"indexer-worker:starts:{job_id}"
