"""One evaluation: labelled queries in, an experiment out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mh_common.models import ExperimentCreate

from mh_client._client import AsyncClient
from mh_client.evaluation.cases import LabelledQueries
from mh_client.evaluation.configurations import Configuration
from mh_client.evaluation.measures import per_case, summarise
from mh_client.evaluation.retrieval import retrieve

DEFAULT_KS: Final = (1, 3, 10)


@dataclass(frozen=True)
class Options:
    """Options of an evaluation: cutoff ranks, concurrency, and labels that are recorded but not sent."""

    ks: tuple[int, ...] = DEFAULT_KS
    concurrency: int = 4
    labels: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None


async def evaluate(
    client: AsyncClient,
    queries: LabelledQueries,
    configuration: Configuration,
    options: Options | None = None,
    advance: Callable[[], object] = lambda: None,
) -> ExperimentCreate:
    """Run every query with the configuration's parameters and compute the measures; nothing is saved.

    `advance` is called after each query. Raises MHError.
    """
    options = options or Options()
    started = time.perf_counter()
    found = await retrieve(client, queries.cases, configuration.parameters, options.concurrency, advance)
    duration = time.perf_counter() - started
    values = per_case(queries.cases, found, options.ks)
    return ExperimentCreate(
        name=configuration.name,
        configuration={**options.labels, **configuration.parameters, "k": list(options.ks)},
        data_set=queries.data_set,
        metrics=summarise(values, queries.by_theme()),
        per_case={name: list(each) for name, each in values.items()},
        duration_seconds=round(duration, 3),
        note=options.note,
    )
