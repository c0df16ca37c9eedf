"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Any, Final

from mh_common.web.documentation import answers

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
_FINISHED: Final = {"owner": "worker-1:4711", "status": "done", "checked": 3512, "stale": 2, "repaired": 2}
PROGRESS: Final = {"running": {"value": _PROGRESS}, "finished": {"value": _FINISHED}}

SYNC: Final[dict[str, Any]] = {"everything": {"value": {}}}
NEW: Final = {"reconcile": {"value": {"kind": "reconcile"}}}
CLAIM: Final = {"claim": {"value": {"owner": "worker-1:4711"}}}

SYNC_QUEUED: Final = answers(_QUEUED, 400, 422, status=202)
REBUILD_QUEUED: Final = answers({**_QUEUED, "kind": "rebuild"}, status=202)
LISTED: Final = answers({"items": [_RUNNING]}, 400)
READ: Final = answers(_RUNNING, 400, 404)
ADDED: Final = answers(_QUEUED, 400, 422, status=201)
CLAIMED: Final = answers(_RUNNING, 400, 404, 409, 422)
REPORTED: Final = answers(_RUNNING, 400, 404, 409, 422)
