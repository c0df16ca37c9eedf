"""Index runs, as returned by the conversations API."""

from datetime import datetime
from typing import Any

from mh_common.models import IndexRun, IndexRunKind, IndexRunStatus


def queued_run(
    run_id: int, requested_at: datetime, kind: IndexRunKind = IndexRunKind.RECONCILE, **values: Any
) -> IndexRun:
    """Return a queued run; `values` override its other fields."""
    counts = dict.fromkeys(("checked", "missing", "stale", "orphaned", "repaired"), 0)
    unset = dict.fromkeys(("since", "started_at", "finished_at", "reason"))
    begun = {"id": run_id, "kind": kind, "requested_at": requested_at, "status": IndexRunStatus.QUEUED, "force": False}
    return IndexRun.model_validate({**begun, **counts, **unset, **values})
