"""`StubPlatform` with experiments, the query history, and search results defined by the test."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mh_common.models import (
    USER_ID_HEADER,
    ExperimentCreate,
    ExperimentDetail,
    ExperimentPage,
    HistoryDeleted,
    HistoryEntry,
    HistoryPage,
    SearchHit,
    SearchResult,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.stubs.server import json_response, problem_response

PAGE = 2
"""Items per page."""
CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)


class StubRecords(StubPlatform):
    """The server's state, as in `StubPlatform`.

    Attributes:
        find: returns the hits of a search, given its body.
        status: the status code with which every search fails; None: return hits.
        experiments: the stored experiments, oldest first; their ids are 1, 2, 3 …
        entries: the query history, oldest first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.find: Callable[[dict[str, Any]], list[SearchHit]] = lambda body: []
        self.status: int | None = None
        self.experiments: list[ExperimentDetail] = []
        self.entries: list[HistoryEntry] = []
        routes = [
            Route("/api/v1/search", self._find, methods=["POST"]),
            Route("/api/v1/experiments", self._add_experiment, methods=["POST"]),
            Route("/api/v1/experiments", self._list_experiments),
            Route("/api/v1/experiments/{key:int}", self._experiment, methods=["GET", "DELETE"]),
            Route("/api/v1/history", self._list_history, methods=["GET", "DELETE"]),
            Route("/api/v1/history/{key}", self._entry, methods=["GET", "DELETE"]),
        ]
        # Before the inherited ones: the first matching route is used.
        self.app.router.routes[:0] = routes

    async def _find(self, request: Request) -> Response:
        body = await request.json()
        self.queries.append(body)
        if self.status is not None:
            return problem_response(self.status)
        hits = self.find(body)
        return json_response(SearchResult(hits=hits, total_hits=len(hits)))

    async def _add_experiment(self, request: Request) -> Response:
        content = ExperimentCreate.model_validate_json(await request.body())
        kept = ExperimentDetail(id=len(self.experiments) + 1, created_at=CREATED, **content.model_dump())
        self.experiments.append(kept)
        return json_response(kept, 201)

    async def _list_experiments(self, request: Request) -> Response:
        before = int(request.query_params.get("cursor", 2**31))
        sha256 = request.query_params.get("data_set_sha256")
        older = [one for one in reversed(self.experiments) if one.id < before]
        kind = request.query_params.get("kind")
        found = [one for one in older if sha256 in (None, one.data_set.sha256) and kind in (None, one.kind)]
        page = found[:PAGE]
        more = len(found) > PAGE
        return json_response(ExperimentPage(items=list(page), next_cursor=str(page[-1].id) if more else None))

    async def _experiment(self, request: Request) -> Response:
        found = [one for one in self.experiments if one.id == request.path_params["key"]]
        if not found:
            return problem_response(404)
        if request.method == "DELETE":
            self.experiments.remove(found[0])
            return Response(status_code=204)
        return json_response(found[0])

    def _of_user(self, request: Request) -> list[HistoryEntry]:
        return [one for one in self.entries if one.user_id == request.headers.get(USER_ID_HEADER)]

    async def _list_history(self, request: Request) -> Response:
        own = self._of_user(request)
        if request.method == "DELETE":
            self.entries = [one for one in self.entries if one not in own]
            return json_response(HistoryDeleted(deleted=len(own)))
        start = int(request.query_params.get("cursor", 0))
        page = own[::-1][start : start + PAGE]
        more = start + PAGE < len(own)
        return json_response(HistoryPage(items=page, next_cursor=str(start + PAGE) if more else None))

    async def _entry(self, request: Request) -> Response:
        found = [one for one in self._of_user(request) if str(one.answer_id) == request.path_params["key"]]
        if not found:
            return problem_response(404)
        if request.method == "DELETE":
            self.entries.remove(found[0])
            return Response(status_code=204)
        return json_response(found[0])
