"""The relay's counters. For the outbox depth, which is read at scrapes, see `gauges`."""

from typing import Final

from mh_common.metrics import Counter

PUBLISHED: Final = Counter("mh_outbox_published_total", "Outbox rows published to the job queue, by task.", ("task",))
FAILURES: Final = Counter(
    "mh_outbox_failures_total",
    "Failed attempts of the relay, by cause: queue, database, or relay, which is a bug.",
    ("cause",),
)
