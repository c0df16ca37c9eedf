"""What the relay does, in numbers. What is owed is looked up at each scrape: see `gauges`."""

from typing import Final

from mh_common.metrics import Counter

PUBLISHED: Final = Counter("mh_outbox_published_total", "Outbox rows taken to the job queue, by task.", ("task",))
FAILURES: Final = Counter(
    "mh_outbox_failures_total",
    "Attempts of the relay that failed, by what failed: queue, database, or relay, which is a bug.",
    ("cause",),
)
