"""Routes for the indexer worker: reports, current versions, queueing, and runs."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from mh_common.auth.roles import Scope
from mh_common.models import (
    INTERNAL_INDEX,
    MAX_ID,
    MAX_VERSIONS,
    IndexQueued,
    IndexReport,
    IndexReportAnswer,
    IndexRun,
    IndexRunClaim,
    IndexRunCreate,
    IndexRunProgress,
    NumberParameter,
    UnitQueue,
    UnitVersions,
    UtcTime,
)
from mh_common.units import MAX_ORDINAL, UnitKey, UnitKind
from mh_common.web.access import GuardedRoute, requires

from conversations_api.dependencies import ReadSession, Sources, WriteSession
from conversations_api.index_runs import documentation as runs_documentation
from conversations_api.index_runs.service import IndexRunService
from conversations_api.internal import index_documentation as documentation
from conversations_api.units.service import IndexStateService

router = APIRouter(
    route_class=GuardedRoute, prefix=INTERNAL_INDEX, tags=["internal"], dependencies=[requires(Scope.INTERNAL)]
)

RunId = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The run's id.")]
Kind = Annotated[UnitKind, Query(description="Kind of the units.")]
After = Annotated[
    NumberParameter,
    Query(ge=0, le=MAX_ID, description="Only units after this position: a source id, with `after_ordinal`."),
]
AfterOrdinal = Annotated[
    NumberParameter, Query(ge=0, le=MAX_ORDINAL, description="Ordinal of that position in the source `after`.")
]
Create = Annotated[IndexRunCreate, Body(openapi_examples=runs_documentation.NEW)]
Claim = Annotated[IndexRunClaim, Body(openapi_examples=runs_documentation.CLAIM)]
Progress = Annotated[IndexRunProgress, Body(openapi_examples=runs_documentation.PROGRESS)]


@router.get("/versions", responses=documentation.VERSIONS)
async def list_versions(
    session: ReadSession,
    sources: Sources,
    kind: Kind,
    after: After = 0,
    after_ordinal: AfterOrdinal = 0,
    limit: Annotated[NumberParameter, Query(ge=1, le=MAX_VERSIONS)] = 1000,
    since: Annotated[
        UtcTime | None, Query(description="Only units whose source changed at or after this time.")
    ] = None,
) -> UnitVersions:
    """List units of one kind with their current versions, one page at a time, by key."""
    return await IndexStateService(session, sources).versions(UnitKey(kind, after, after_ordinal), limit, since)


@router.post("/queue", status_code=202, responses=documentation.QUEUED)
async def queue(
    request: Annotated[UnitQueue, Body(openapi_examples=documentation.UNITS)], session: WriteSession, sources: Sources
) -> IndexQueued:
    """Queue units for indexing; those that do not exist are deleted from the index."""
    return IndexQueued(queued=await IndexStateService(session, sources).queue([unit.key for unit in request.units]))


@router.post("/reports", responses=documentation.REPORTED)
async def report_index(
    report: Annotated[IndexReport, Body(openapi_examples=documentation.REPORTED_JOB)],
    session: WriteSession,
    sources: Sources,
) -> IndexReportAnswer:
    """Store the outcomes of a job, and what screening found, and return the current versions.

    Reports can be repeated, late or out of order: they never overwrite newer knowledge. If a unit has several outcomes,
    the last one counts. What screening found in another version than the current one is not stored. If the returned
    version differs from the reported one, the unit has changed in the meantime: index it again. If it is null, the unit
    was deleted: delete it from the index.
    """
    return await IndexStateService(session, sources).report(report)


@router.post("/runs", status_code=201, responses=runs_documentation.ADDED)
async def add_run(request: Create, session: WriteSession) -> IndexRun:
    """Add a run for the caller to claim. If one of the same kind is already queued, it is returned instead."""
    return await IndexRunService(session).add(request.kind)


@router.post("/runs/{run_id}/claim", responses=runs_documentation.CLAIMED)
async def claim_run(run_id: RunId, claim: Claim, session: WriteSession) -> IndexRun:
    """Claim a run for `RUN_LEASE` (30 s); each report extends the lease. Returns 409 while another run is running."""
    return await IndexRunService(session).claim(run_id, claim.owner)


@router.put("/runs/{run_id}/progress", responses=runs_documentation.REPORTED)
async def report_run(run_id: RunId, progress: Progress, session: WriteSession) -> IndexRun:
    """Report a run's progress or its end. Returns 409 if another owner took it over: stop working on it."""
    return await IndexRunService(session).report(run_id, progress)
