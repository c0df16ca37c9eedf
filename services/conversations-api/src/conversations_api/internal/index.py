"""What the indexing worker tells and asks: its reports, the present versions, and the runs that it carries out."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
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
    UnitQueue,
    UnitVersions,
    UtcTime,
)
from mh_common.units import MAX_ORDINAL, UnitKey, UnitKind

from conversations_api.dependencies import ReadSession, Sources, WriteSession
from conversations_api.index_runs import documentation as runs_documentation
from conversations_api.index_runs.service import IndexRunService
from conversations_api.internal import index_documentation as documentation
from conversations_api.units.service import IndexStateService

router = APIRouter(prefix=INTERNAL_INDEX, tags=["internal"])

RunId = Annotated[int, Path(ge=1, le=MAX_ID, description="The run's key.")]
Kind = Annotated[UnitKind, Query(description="What the sources are.")]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Only units behind this source, or in it behind an ordinal.")]
AfterOrdinal = Annotated[int, Query(ge=0, le=MAX_ORDINAL, description="Of the source `after`, only units behind it.")]
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
    limit: Annotated[int, Query(ge=1, le=MAX_VERSIONS)] = 1000,
    since: Annotated[UtcTime | None, Query(description="Only of sources changed at or after this time.")] = None,
) -> UnitVersions:
    """List units of one kind and their present versions, a page at a time, by key."""
    return await IndexStateService(session, sources).versions(UnitKey(kind, after, after_ordinal), limit, since)


@router.post("/queue", status_code=202, responses=documentation.QUEUED)
async def queue(
    request: Annotated[UnitQueue, Body(openapi_examples=documentation.UNITS)], session: WriteSession, sources: Sources
) -> IndexQueued:
    """Queue units to be indexed again; those that do not exist are deleted from the index."""
    return IndexQueued(queued=await IndexStateService(session, sources).queue([unit.key for unit in request.units]))


@router.post("/reports", responses=documentation.REPORTED)
async def report_index(
    report: Annotated[IndexReport, Body(openapi_examples=documentation.REPORTED_JOB)],
    session: WriteSession,
    sources: Sources,
) -> IndexReportAnswer:
    """Take the indexer's report on one job and answer with the present versions.

    Safe to send twice, late or out of order: what is known better already stays. Of several outcomes for one
    unit the last counts. A version in the answer that differs from the reported one means that the unit changed
    meanwhile: index it again. A null means that it was deleted: delete it from the index.
    """
    return await IndexStateService(session, sources).report(report)


@router.post("/runs", status_code=201, responses=runs_documentation.ADDED)
async def add_run(request: Create, session: WriteSession) -> IndexRun:
    """Add a run that its creator claims next. Where one of its kind waits already, that one is answered."""
    return await IndexRunService(session).add(request.kind)


@router.post("/runs/{run_id}/claim", responses=runs_documentation.CLAIMED)
async def claim_run(run_id: RunId, claim: Claim, session: WriteSession) -> IndexRun:
    """Take a run for `RUN_LEASE` (30 s), which each report extends. One run works at a time: 409 while another does."""
    return await IndexRunService(session).claim(run_id, claim.owner)


@router.put("/runs/{run_id}/progress", responses=runs_documentation.REPORTED)
async def report_run(run_id: RunId, progress: Progress, session: WriteSession) -> IndexRun:
    """Say how far a run is, or that it is over. 409 when it passed to somebody else: stop working on it."""
    return await IndexRunService(session).report(run_id, progress)
