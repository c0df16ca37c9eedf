"""Experiments: saved evaluations."""

import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final

from mh_common.models import Experiment, ExperimentCreate, ExperimentDetail, ExperimentKind, ExperimentPage

from mh_client._base import IDEMPOTENCY_KEY, Call
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/experiments"


def add(experiment: ExperimentCreate, *, idempotency_key: str | None = None) -> Call[Experiment]:
    """Save an experiment. The same key never saves it twice; by default each call generates one for its retries."""
    return Call(
        method="POST",
        path=PATH,
        content=experiment.model_dump_json().encode(),
        headers={IDEMPOTENCY_KEY: idempotency_key or str(uuid.uuid4())},
        parse=Experiment.model_validate_json,
    )


def get(experiment_id: int) -> Call[ExperimentDetail]:
    """Return an experiment with its values per case. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/{experiment_id:d}", parse=ExperimentDetail.model_validate_json)


def list_page(
    data_set_sha256: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    kind: ExperimentKind | None = None,
) -> Call[ExperimentPage]:
    """Return one page (`limit` 1 to 200, default 50), newest first, optionally of one data set or kind."""
    query = {"data_set_sha256": data_set_sha256, "cursor": cursor, "limit": limit, "kind": kind}
    return Call(method="GET", path=PATH, params=query_params(query), parse=ExperimentPage.model_validate_json)


def delete(experiment_id: int) -> Call[None]:
    """Permanently delete an experiment. Raises NotFoundError, also on a retry after a lost response."""
    return Call(method="DELETE", path=f"{PATH}/{experiment_id:d}", parse=lambda body: None)


class Experiments(Resource):
    """`client.experiments`."""

    add = sync_method(add)
    get = sync_method(get)
    list = sync_method(list_page)
    delete = sync_method(delete)

    def iterate(self, data_set_sha256: str | None = None, kind: ExperimentKind | None = None) -> Iterator[Experiment]:
        """Iterate over all experiments, or those of one data set or kind, newest first, requesting pages as needed."""
        for page in pages(self._sender, partial(list_page, data_set_sha256, kind=kind)):
            yield from page.items


class AsyncExperiments(AsyncResource):
    """`client.experiments` of `AsyncClient`."""

    add = async_method(add)
    get = async_method(get)
    list = async_method(list_page)
    delete = async_method(delete)

    async def iterate(
        self, data_set_sha256: str | None = None, kind: ExperimentKind | None = None
    ) -> AsyncIterator[Experiment]:
        """Iterate over all experiments, or those of one data set or kind, newest first, requesting pages as needed."""
        async for page in pages_async(self._sender, partial(list_page, data_set_sha256, kind=kind)):
            for experiment in page.items:
                yield experiment
