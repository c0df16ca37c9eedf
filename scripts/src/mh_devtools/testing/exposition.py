"""Parse Prometheus's text format, as returned by /metrics."""

from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families


def metric_value(text: str, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels; 0 if there are none.

    `name` is the name of a sample; those of a histogram end in `_count`, `_sum` or `_bucket`.
    """
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


class MetricDeltas:
    """How much an application's metrics have increased since this object was created."""

    def __init__(self, client: httpx.AsyncClient, before: str) -> None:
        self._client = client
        self._before = before

    @classmethod
    async def since_now(cls, client: httpx.AsyncClient) -> Self:
        """Return an object that compares with the metrics as they are now."""
        return cls(client, (await client.get("/metrics")).text)

    async def __call__(self, name: str, **labels: str) -> float:
        """Return the increase of a metric, as `metric_value` sums it."""
        current = (await self._client.get("/metrics")).text
        return metric_value(current, name, **labels) - metric_value(self._before, name, **labels)
