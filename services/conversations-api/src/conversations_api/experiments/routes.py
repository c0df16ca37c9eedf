"""Routes of experiments."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query, Response
from mh_common.auth.roles import Scope
from mh_common.models import (
    MAX_ID,
    Experiment,
    ExperimentCreate,
    ExperimentDetail,
    ExperimentKind,
    ExperimentPage,
    NumberParameter,
    Sha256,
)
from mh_common.web.access import CurrentPrincipal, GuardedRoute, requires
from mh_common.web.documentation import answers, problems

from conversations_api.dependencies import ActsFor, IdempotencyKey, ReadSession, WriteSession
from conversations_api.experiments.service import ExperimentService
from conversations_api.idempotency.repository import KeyedRequest

PREFIX: Final = "/api/v1/experiments"

router = APIRouter(
    route_class=GuardedRoute, prefix=PREFIX, tags=["experiments"], dependencies=[requires(Scope.EXPERIMENTS_READ)]
)

_WRITE: Final = requires(Scope.EXPERIMENTS_WRITE)

_FIGURES: Final = {
    "hit@3": {"value": 0.571, "low": 0.522, "high": 0.618},
    "ndcg@10": {"value": 0.561, "low": 0.52, "high": 0.6},
}
_NEW: Final = {
    "kind": "search",
    "name": "mode=semantic",
    "configuration": {"mode": "semantic", "model": "all-MiniLM-L6-v2", "limit": 100},
    "data_set": {"name": "queries.jsonl", "sha256": "9f" * 32, "cases": 2},
    "metrics": {"figures": _FIGURES, "themes": {"sleep": {"cases": 2, "figures": _FIGURES}}},
    "duration_seconds": 12.5,
    "note": "After the change of the analyzer.",
}
_PER_CASE: Final = {"hit@3": [1.0, 0.0], "ndcg@10": [0.63093, 0.0]}
_EXPERIMENT: Final = {"id": 3, "created_at": "2026-03-02T09:15:00.120000Z", **_NEW}
_NEW_EXAMPLES: Final = {"experiment": {"summary": "One run", "value": {**_NEW, "per_case": _PER_CASE}}}
_HEADERS: Final = {
    "Location": {"description": "Path of the new experiment.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` if the request had been processed before and its response is repeated.",
        "schema": {"type": "string"},
    },
}


Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The experiment's id.")]
Cursor = Annotated[NumberParameter | None, Query(ge=1, le=MAX_ID, description="`next_cursor` of the previous page.")]
Kind = Annotated[ExperimentKind | None, Query(description="Only evaluations of search, or only those of answers.")]
DataSetHash = Annotated[Sha256 | None, Query(description="Only experiments on the data set with this SHA-256 hash.")]


@router.post(
    "",
    status_code=201,
    responses=answers(_EXPERIMENT, 400, 409, 422, status=201, headers=_HEADERS),
    dependencies=[_WRITE],
)
async def create(
    content: Annotated[ExperimentCreate, Body(openapi_examples=_NEW_EXAMPLES)],
    session: WriteSession,
    response: Response,
    principal: CurrentPrincipal,
    acts_for: ActsFor,
    idempotency_key: IdempotencyKey = None,
) -> Experiment:
    """Store an experiment: what was evaluated on which data set, and the metrics."""
    request = KeyedRequest.of(idempotency_key, f"POST {PREFIX}", content, principal.user_id, acts_for)
    result = await ExperimentService(session).add(content, request)
    response.headers["Location"] = f"{PREFIX}/{result.ids[0]}"
    if result.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return Experiment(id=result.ids[0], created_at=result.at, **content.model_dump(exclude={"per_case"}))


@router.get("", responses=answers({"items": [_EXPERIMENT], "next_cursor": "3"}, 400))
async def list_experiments(
    session: ReadSession,
    cursor: Cursor = None,
    limit: Annotated[NumberParameter, Query(ge=1, le=200)] = 50,
    data_set_sha256: DataSetHash = None,
    kind: Kind = None,
) -> ExperimentPage:
    """List experiments, newest first, one page at a time, without their values per case."""
    return await ExperimentService(session).list(cursor, limit, data_set_sha256, kind)


@router.get("/{experiment_id}", responses=answers({**_EXPERIMENT, "per_case": _PER_CASE}, 400, 404))
async def get(experiment_id: Id, session: ReadSession) -> ExperimentDetail:
    """Return an experiment with its values per case."""
    return await ExperimentService(session).get(experiment_id)


@router.delete("/{experiment_id}", status_code=204, responses=problems(400, 404), dependencies=[_WRITE])
async def delete(experiment_id: Id, session: WriteSession) -> None:
    """Permanently delete an experiment."""
    await ExperimentService(session).delete(experiment_id)
