"""What the worker tells and asks the conversations API."""

from collections.abc import Sequence
from datetime import datetime

from mh_client import AsyncClient, Call
from mh_common.models import (
    INTERNAL_INDEX,
    Conversation,
    IndexQueued,
    IndexReport,
    IndexReportAnswer,
    IndexRun,
    IndexRunClaim,
    IndexRunCreate,
    IndexRunKind,
    IndexRunProgress,
    QueuedUnit,
    UnitQueue,
    UnitVersions,
)
from mh_common.units import UnitKey


class ConversationsAPI:
    """The conversations API as the worker uses it, mostly by routes that no gateway forwards.

    Every method raises MHError. Each says the same when it is sent twice, so that all are retried.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def rows(self, ids: Sequence[int]) -> list[Conversation]:
        """Return those of these conversations (1 to 64) that exist, as they are now."""
        return (await self._client.conversations.list(ids=ids, limit=len(ids))).items

    async def queue(self, keys: Sequence[UnitKey]) -> int:
        """Queue 1 to 1000 units to be indexed, absent ones to be deleted from the index; return how many."""
        units = UnitQueue(units=[QueuedUnit(**key._asdict()) for key in keys])
        call = Call(
            method="POST",
            path=f"{INTERNAL_INDEX}/queue",
            content=units.model_dump_json().encode(),
            parse=IndexQueued.model_validate_json,
        )
        return (await self._client.send(call)).queued

    async def versions(self, after: UnitKey, limit: int, since: datetime | None = None) -> UnitVersions:
        """Return one page (`limit` 1 to 5000) of units of one kind by key; `after` is where a page ended.

        `since` (aware) leaves out those of sources that were changed last before that time.
        """
        params = [("kind", after.kind), ("after", str(after.source_id)), ("after_ordinal", str(after.ordinal))]
        params.append(("limit", str(limit)))
        if since is not None:
            params.append(("since", since.isoformat()))
        return await self._client.send(
            Call(
                method="GET",
                path=f"{INTERNAL_INDEX}/versions",
                params=tuple(params),
                parse=UnitVersions.model_validate_json,
            )
        )

    async def report(self, report: IndexReport) -> IndexReportAnswer:
        """Tell which versions were indexed or failed; the answer holds the present versions."""
        return await self._client.send(
            Call(
                method="POST",
                path=f"{INTERNAL_INDEX}/reports",
                content=report.model_dump_json().encode(),
                parse=IndexReportAnswer.model_validate_json,
            )
        )

    async def add_run(self, kind: IndexRunKind) -> IndexRun:
        """Add a run to claim and carry out; if one waits already, it is returned."""
        return await self._run("POST", "/runs", IndexRunCreate(kind=kind))

    async def claim_run(self, run_id: int, owner: str) -> IndexRun:
        """Take a run for a while, which reports extend.

        Raises ConflictError when another run is under way, when somebody else has this one, and when it is over.
        """
        return await self._run("POST", f"/runs/{run_id:d}/claim", IndexRunClaim(owner=owner))

    async def report_run(self, run_id: int, progress: IndexRunProgress) -> IndexRun:
        """Say how far the run is, or that it is over, and keep it for another while.

        Raises ConflictError when the run passed to somebody else: stop working on it.
        """
        return await self._run("PUT", f"/runs/{run_id:d}/progress", progress)

    async def _run(
        self, method: str, path: str, content: IndexRunCreate | IndexRunClaim | IndexRunProgress
    ) -> IndexRun:
        return await self._client.send(
            Call(
                method=method,
                path=f"{INTERNAL_INDEX}{path}",
                content=content.model_dump_json().encode(),
                parse=IndexRun.model_validate_json,
            )
        )
