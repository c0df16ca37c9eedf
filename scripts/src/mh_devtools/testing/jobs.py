"""The index worker's jobs in Redis."""

from typing import cast

from mh_common.jobs import INDEX_QUEUE
from redis import Redis

from mh_devtools.testing.waiting import wait_until


def until_idle(redis: Redis) -> None:
    """Return when Redis holds no job any more: none queued, none unacknowledged.

    Raises:
        AssertionError: it still holds one after the usual limit of `wait_until`.
    """
    wait_until(lambda: not redis.llen(INDEX_QUEUE) and not redis.hlen("unacked"), what="no job is left")


def make_due(redis: Redis) -> None:
    """Let the jobs that a dead worker held be taken by the next one, as if the visibility timeout had passed."""
    for tag in cast(list[bytes], redis.zrange("unacked_index", 0, -1)):
        redis.zadd("unacked_index", {tag: 1})
