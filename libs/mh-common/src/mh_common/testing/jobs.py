"""The index worker's jobs in Redis."""

from redis import Redis

from mh_common.jobs import INDEX_QUEUE
from mh_common.testing.waiting import wait_until


def until_idle(redis: Redis) -> None:
    """Return when Redis holds no job any more: none queued, none unacknowledged.

    Raises:
        AssertionError: it still holds one after the usual limit of `wait_until`.
    """
    wait_until(lambda: not redis.llen(INDEX_QUEUE) and not redis.hlen("unacked"), what="no job is left")
