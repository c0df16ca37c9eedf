"""The vector index: what the worker reports."""

from mh_common.models import IndexReport, IndexReportAnswer

from mh_client._base import Call
from mh_client.resources._binding import AsyncResource, Resource, asynchronous, sync


def report(outcomes: IndexReport) -> Call[IndexReportAnswer]:
    """Tell the API which versions were indexed or failed; the answer holds the present versions.

    A report says the same when it is sent twice, so that it is retried without an Idempotency-Key.
    """
    return Call(
        method="POST",
        path="/api/v1/index/reports",
        content=outcomes.model_dump_json().encode(),
        parse=IndexReportAnswer.model_validate_json,
    )


class Index(Resource):
    """`client.index`."""

    report = sync(report)


class AsyncIndex(AsyncResource):
    """`client.index` of the AsyncClient."""

    report = asynchronous(report)
