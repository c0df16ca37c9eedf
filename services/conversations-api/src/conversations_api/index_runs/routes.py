"""Routes for requesting and reading runs over the whole index."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from mh_common.auth.roles import Scope
from mh_common.models import (
    MAX_ID,
    IndexRun,
    IndexRunKind,
    IndexRunList,
    IndexSyncRequest,
    NumberParameter,
)
from mh_common.web.access import GuardedRoute, requires

from conversations_api.dependencies import ReadSession, WriteSession
from conversations_api.index_runs import documentation
from conversations_api.index_runs.service import IndexRunService

router = APIRouter(
    route_class=GuardedRoute, prefix="/api/v1/index", tags=["index"], dependencies=[requires(Scope.INDEX_OPERATE)]
)

Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The run's id.")]
Sync = Annotated[IndexSyncRequest, Body(openapi_examples=documentation.SYNC)]


@router.post("/sync", status_code=202, responses=documentation.SYNC_QUEUED)
async def sync(request: Sync, session: WriteSession) -> IndexRun:
    """Request a run that compares the index with the conversations and queues the differences.

    If such a run is already queued, it is returned instead.
    """
    return await IndexRunService(session).request(IndexRunKind.RECONCILE, request.since, request.force)


@router.post("/rebuild", status_code=202, responses=documentation.REBUILD_QUEUED)
async def rebuild(session: WriteSession) -> IndexRun:
    """Request a run that rebuilds the index. If one is already queued, it is returned instead."""
    return await IndexRunService(session).request(IndexRunKind.REBUILD)


@router.get("/runs", responses=documentation.LISTED)
async def list_runs(session: ReadSession, limit: Annotated[NumberParameter, Query(ge=1, le=200)] = 20) -> IndexRunList:
    """List the latest runs, newest first."""
    return IndexRunList(items=await IndexRunService(session).latest(limit))


@router.get("/runs/{run_id}", responses=documentation.READ)
async def get_run(run_id: Id, session: ReadSession) -> IndexRun:
    """Return a run."""
    return await IndexRunService(session).get(run_id)
