"""Parse Prometheus's text format, as returned by /metrics."""

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
