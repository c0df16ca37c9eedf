"""`StubConversations` with the additional routes that reconciliation and rebuild call."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from mh_common.jobs import RUN_LEASE
from mh_common.models import (
    INTERNAL_INDEX,
    Conversation,
    CurrentVersion,
    IndexQueued,
    IndexRun,
    IndexRunClaim,
    IndexRunCreate,
    IndexRunKind,
    IndexRunProgress,
    IndexRunStatus,
    IndexStatus,
    UnitPosition,
    UnitQueue,
    UnitVersions,
)
from mh_common.units import CONVERSATION, UnitKey, conversation_unit
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mh_devtools.stubs.conversations_stub import CREATED, StubConversations
from mh_devtools.stubs.server import json_response, problem_response
from mh_devtools.testing.runs import queued_run


class StubIndex(StubConversations):
    """The server's state, as in `StubConversations`.

    Attributes:
        runs: the runs by id; add one with `add_run`.
        queued: the source ids of every call that queued units, in order; `queued_units` lists the units.
        on_queue: called with these ids; can send the jobs that the API would send.
        pages: the source id in `after` of every request for versions, in order. `statuses` apply to these too.
        after_versions: called after a page of versions is copied and before it is returned.
        claims: run id and owner of every claim, in order; `on_claim` is called after each.
        owners: the holder of each run and the end of its lease (monotonic clock, seconds), by run id.
        service_key: the key without which every request is answered 401; None: none is needed.
        unsigned: how many requests came without it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[int, IndexRun] = {}
        self.queued: list[list[int]] = []
        self.queued_units: list[UnitKey] = []
        self.on_queue: Callable[[list[int]], object] = lambda ids: None
        self.pages: list[int] = []
        self.after_versions: Callable[[], object] = lambda: None
        self.claims: list[tuple[int, str]] = []
        self.on_claim: Callable[[], object] = lambda: None
        self.owners: dict[int, tuple[str, float]] = {}
        self.service_key: str | None = None
        self.unsigned = 0
        self._queued_at: dict[UnitKey, datetime] = {}
        self.app.add_middleware(BaseHTTPMiddleware, dispatch=self._check_key)
        self.app.router.routes += [
            Route(f"{INTERNAL_INDEX}/versions", self._versions, methods=["GET"]),
            Route(f"{INTERNAL_INDEX}/queue", self._queue, methods=["POST"]),
            Route(f"{INTERNAL_INDEX}/runs", self._create, methods=["POST"]),
            Route(f"{INTERNAL_INDEX}/runs/{{key:int}}/claim", self._claim, methods=["POST"]),
            Route(f"{INTERNAL_INDEX}/runs/{{key:int}}/progress", self._progress, methods=["PUT"]),
        ]

    def put(self, key: int, question: str, **fields: Any) -> Conversation:
        """See `StubConversations.put`; the row is queued now."""
        self._queued_at[conversation_unit(key)] = datetime.now(UTC)
        return super().put(key, question, **fields)

    def add_run(self, kind: IndexRunKind = IndexRunKind.RECONCILE, **values: Any) -> IndexRun:
        """Add a queued run."""
        run = queued_run(len(self.runs) + 1, datetime.now(UTC), kind, **values)
        self.runs[run.id] = run
        return run

    def set_pending_for(self, key: int, age: timedelta) -> None:
        """Pretend that the row was queued that long ago."""
        self._queued_at[conversation_unit(key)] = datetime.now(UTC) - age

    async def _check_key(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        if self.service_key is None or request.headers.get("Authorization") == f"Bearer {self.service_key}":
            return await call_next(request)
        self.unsigned += 1
        return problem_response(401, headers={"WWW-Authenticate": "Bearer"})

    def _versions(self, request: Request) -> Response:
        kind = request.query_params["kind"]
        after = UnitKey(kind, *(int(request.query_params.get(name, 0)) for name in ("after", "after_ordinal")))
        limit, since = int(request.query_params["limit"]), request.query_params.get("since")
        self.pages.append(after.source_id)
        with self._lock:
            if self.statuses:
                return self._fail()
            statuses = {(one.key, one.version): one.status for one in self.outcomes}
            screened = {(one.key, one.version): one.screened_by for one in self.screenings}
            versions = self._current_versions(kind, None if since is None else datetime.fromisoformat(since))
            keys = sorted(key for key in versions if key > after)
            items = [
                CurrentVersion(
                    **key._asdict(),
                    version=versions[key],
                    status=statuses.get((key, versions[key]), IndexStatus.PENDING),
                    queued_at=self._queued_at.get(key, CREATED),
                    screened_by=screened.get((key, versions[key])),
                )
                for key in keys[:limit]
            ]
        self.after_versions()
        last = items[-1] if len(keys) > limit else None
        position = last and UnitPosition(source_id=last.source_id, ordinal=last.ordinal)
        return json_response(UnitVersions(items=items, next_after=position))

    def _current_versions(self, kind: str, since: datetime | None) -> dict[UnitKey, int]:
        """Return the current versions of the units of a kind; `since` only applies to conversations."""
        if kind != CONVERSATION:
            return {key: version for key, version in self.units.items() if key.kind == kind}
        rows = self.rows.values()
        return {conversation_unit(row.id): row.version for row in rows if since is None or row.updated_at >= since}

    async def _queue(self, request: Request) -> Response:
        units = [unit.key for unit in UnitQueue.model_validate_json(await request.body()).units]
        ids = [unit.source_id for unit in units]
        self.queued.append(ids)
        self.queued_units += units
        self.on_queue(ids)
        return json_response(IndexQueued(queued=len(ids)))

    async def _create(self, request: Request) -> Response:
        return json_response(self.add_run(IndexRunCreate.model_validate_json(await request.body()).kind))

    async def _claim(self, request: Request) -> Response:
        key = request.path_params["key"]
        owner = IndexRunClaim.model_validate_json(await request.body()).owner
        self.claims.append((key, owner))
        self.on_claim()
        if key not in self.runs:
            return Response(status_code=404)
        held = {run: name for run, (name, until) in self.owners.items() if until > time.monotonic()}
        if self.runs[key].finished_at or (held and held != {key: owner}):
            return Response(status_code=409)
        return self._update(key, owner, status=IndexRunStatus.RUNNING)

    async def _progress(self, request: Request) -> Response:
        key = request.path_params["key"]
        progress = IndexRunProgress.model_validate_json(await request.body())
        if self.owners.get(key, ("", 0))[0] != progress.owner:
            return Response(status_code=409)
        is_finished = progress.status is not IndexRunStatus.RUNNING
        finished = {"finished_at": datetime.now(UTC) if is_finished else None}
        answer = self._update(key, progress.owner, **progress.model_dump(exclude={"owner"}), **finished)
        if is_finished:
            del self.owners[key]
        return answer

    def _update(self, key: int, owner: str, **values: Any) -> Response:
        self.owners[key] = (owner, time.monotonic() + RUN_LEASE)
        self.runs[key] = self.runs[key].model_copy(update=values)
        return json_response(self.runs[key])
