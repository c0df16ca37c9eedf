"""The index worker's jobs in Redis."""

from typing import cast

from mh_common.jobs import INDEX_QUEUE
from redis import Redis

from mh_devtools.testing.waiting import wait_until


def wait_until_idle(redis: Redis) -> None:
    """Return when there are no jobs in Redis, neither queued nor unacknowledged.

    Raises:
        AssertionError: there still is one after the default timeout of `wait_until`.
    """
    wait_until(lambda: not redis.llen(INDEX_QUEUE) and not redis.hlen("unacked"), what="no job is left")


def make_due(redis: Redis) -> None:
    """Make the jobs of a dead worker available to the next one, as if the visibility timeout had expired."""
    for tag in cast(list[bytes], redis.zrange("unacked_index", 0, -1)):
        redis.zadd("unacked_index", {tag: 1})
