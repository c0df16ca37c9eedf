"""Experiments: keep an evaluation, look at those that were kept."""

import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final

from mh_common.models import Experiment, ExperimentCreate, ExperimentDetail, ExperimentPage

from mh_client._base import IDEMPOTENCY_KEY, Call
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, asynchronous, sync
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/experiments"


def add(experiment: ExperimentCreate, *, idempotency_key: str | None = None) -> Call[Experiment]:
    """Keep an experiment. The same key never keeps it twice; without one, each call makes its own for its retries."""
    return Call(
        method="POST",
        path=PATH,
        content=experiment.model_dump_json().encode(),
        headers={IDEMPOTENCY_KEY: idempotency_key or str(uuid.uuid4())},
        parse=Experiment.model_validate_json,
    )


def get(experiment_id: int) -> Call[ExperimentDetail]:
    """Return an experiment with its values case by case. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/{experiment_id:d}", parse=ExperimentDetail.model_validate_json)


def list_page(
    data_set_sha256: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[ExperimentPage]:
    """Return one page (`limit` 1 to 200, default 50), newest first; `data_set_sha256` leaves out other data sets."""
    query = {"data_set_sha256": data_set_sha256, "cursor": cursor, "limit": limit}
    return Call(method="GET", path=PATH, params=query_params(query), parse=ExperimentPage.model_validate_json)


def delete(experiment_id: int) -> Call[None]:
    """Delete an experiment for good. Raises NotFoundError, also after a lost first attempt."""
    return Call(method="DELETE", path=f"{PATH}/{experiment_id:d}", parse=lambda body: None)


class Experiments(Resource):
    """`client.experiments`."""

    add = sync(add)
    get = sync(get)
    list = sync(list_page)
    delete = sync(delete)

    def iterate(self, data_set_sha256: str | None = None) -> Iterator[Experiment]:
        """Yield every experiment, newest first, page after page; of one data set where its hash is given."""
        for page in pages(self._sender, partial(list_page, data_set_sha256)):
            yield from page.items


class AsyncExperiments(AsyncResource):
    """`client.experiments` of the AsyncClient."""

    add = asynchronous(add)
    get = asynchronous(get)
    list = asynchronous(list_page)
    delete = asynchronous(delete)

    async def iterate(self, data_set_sha256: str | None = None) -> AsyncIterator[Experiment]:
        """Yield every experiment, newest first, page after page; of one data set where its hash is given."""
        async for page in pages_async(self._sender, partial(list_page, data_set_sha256)):
            for experiment in page.items:
                yield experiment
