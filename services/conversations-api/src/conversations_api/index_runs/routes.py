"""Routes of the runs over the whole index: ask for one, look at them, and what their holder says."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query
from mh_common.models import (
    MAX_ID,
    IndexRun,
    IndexRunClaim,
    IndexRunCreate,
    IndexRunKind,
    IndexRunList,
    IndexRunProgress,
    IndexSyncRequest,
)
from mh_common.web.documentation import answers

from conversations_api.dependencies import ReadSession, WriteSession
from conversations_api.index_runs.service import IndexRunService

router = APIRouter(prefix="/api/v1/index", tags=["index"])

_QUEUED: Final = {
    "id": 7,
    "kind": "reconcile",
    "status": "queued",
    "force": False,
    "since": None,
    "requested_at": "2026-03-02T09:15:00.120000Z",
    "started_at": None,
    "finished_at": None,
    "checked": 0,
    "missing": 0,
    "stale": 0,
    "orphaned": 0,
    "repaired": 0,
    "reason": None,
}
_RUNNING: Final = {**_QUEUED, "status": "running", "started_at": "2026-03-02T09:15:00.480000Z", "checked": 3000}
_PROGRESS: Final = {"owner": "worker-1:4711", "status": "running", "checked": 3000}
_OVER: Final = {"owner": "worker-1:4711", "status": "done", "checked": 3512, "stale": 2, "repaired": 2}
_PROGRESS_EXAMPLES: Final = {"under way": {"value": _PROGRESS}, "over": {"value": _OVER}}


Id = Annotated[int, Path(ge=1, le=MAX_ID, description="The run's key.")]
Sync = Annotated[IndexSyncRequest, Body(openapi_examples={"everything": {"value": {}}})]
Create = Annotated[IndexRunCreate, Body(openapi_examples={"reconcile": {"value": {"kind": "reconcile"}}})]
Claim = Annotated[IndexRunClaim, Body(openapi_examples={"claim": {"value": {"owner": "worker-1:4711"}}})]
Progress = Annotated[IndexRunProgress, Body(openapi_examples=_PROGRESS_EXAMPLES)]


@router.post("/sync", status_code=202, responses=answers(_QUEUED, 400, 422, status=202))
async def sync(request: Sync, session: WriteSession) -> IndexRun:
    """Ask for a run that compares the index with the conversations and queues the differences.

    Where such a run waits already, that one is answered.
    """
    return await IndexRunService(session).request(IndexRunKind.RECONCILE, request.since, request.force)


@router.post("/rebuild", status_code=202, responses=answers({**_QUEUED, "kind": "rebuild"}, status=202))
async def rebuild(session: WriteSession) -> IndexRun:
    """Ask for a run that builds the index anew. Where one waits already, that one is answered."""
    return await IndexRunService(session).request(IndexRunKind.REBUILD)


@router.get("/runs", responses=answers({"items": [_RUNNING]}, 400))
async def list_runs(session: ReadSession, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> IndexRunList:
    """List the latest runs, newest first."""
    return IndexRunList(items=await IndexRunService(session).latest(limit))


@router.post("/runs", status_code=201, responses=answers(_QUEUED, 400, 422, status=201))
async def add_run(request: Create, session: WriteSession) -> IndexRun:
    """Add a run that its creator claims next. Where one of its kind waits already, that one is answered."""
    return await IndexRunService(session).add(request.kind)


@router.get("/runs/{run_id}", responses=answers(_RUNNING, 400, 404))
async def get_run(run_id: Id, session: ReadSession) -> IndexRun:
    """Return a run."""
    return await IndexRunService(session).get(run_id)


@router.post("/runs/{run_id}/claim", responses=answers(_RUNNING, 400, 404, 409, 422))
async def claim_run(run_id: Id, claim: Claim, session: WriteSession) -> IndexRun:
    """Take a run for 60 seconds, which each report extends. One run is under way at a time: 409 while another is."""
    return await IndexRunService(session).claim(run_id, claim.owner)


@router.put("/runs/{run_id}/progress", responses=answers(_RUNNING, 400, 404, 409, 422))
async def report_run(run_id: Id, progress: Progress, session: WriteSession) -> IndexRun:
    """Say how far a run is, or that it is over. 409 when it passed to somebody else: stop working on it."""
    return await IndexRunService(session).report(run_id, progress)
