"""The worker's calls to the conversations API."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Final, TypeVar

import httpx
from mh_client import APIStatusError, AsyncClient, Call, MHError
from mh_common.access_settings import ServiceKeySettings
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
from mh_common.settings import ConversationsSettings
from mh_common.tracing import inject_trace_headers
from mh_common.units import UnitKey, conversation_unit

T = TypeVar("T")

RETRIES: Final = 2


class ServiceKeyRefusedError(MHError):
    """The conversations API does not accept this worker's key. The message says what to set."""


class ConversationsAPI:
    """Client for the conversations API, mostly for internal routes that the gateway does not forward.

    Every method raises MHError. All calls are idempotent, so the client retries them.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def rows(self, ids: Sequence[int]) -> list[Conversation]:
        """Return the current content of those of these conversations (1 to 64) that exist."""
        with _naming_the_key():
            return (await self._client.conversations.list(ids=ids, limit=len(ids))).items

    async def queue(self, keys: Sequence[UnitKey]) -> int:
        """Queue 1 to 1000 units: existing ones for indexing, others for deletion from the index. Return how many."""
        units = UnitQueue(units=[QueuedUnit(**key._asdict()) for key in keys])
        call = Call(
            method="POST",
            path=f"{INTERNAL_INDEX}/queue",
            content=units.model_dump_json().encode(),
            parse=IndexQueued.model_validate_json,
        )
        return (await self._send(call)).queued

    async def versions(self, after: UnitKey, limit: int, since: datetime | None = None) -> UnitVersions:
        """Return one page (`limit` 1 to 5000) of units of one kind, in key order, starting after `after`.

        `since` (timezone-aware) restricts the page to units whose source changed at or after that time.
        """
        params = [("kind", after.kind), ("after", str(after.source_id)), ("after_ordinal", str(after.ordinal))]
        params.append(("limit", str(limit)))
        if since is not None:
            params.append(("since", since.isoformat()))
        return await self._send(
            Call(
                method="GET",
                path=f"{INTERNAL_INDEX}/versions",
                params=tuple(params),
                parse=UnitVersions.model_validate_json,
            )
        )

    async def report(self, report: IndexReport) -> IndexReportAnswer:
        """Report which versions were indexed or failed; the response contains the current versions."""
        return await self._send(
            Call(
                method="POST",
                path=f"{INTERNAL_INDEX}/reports",
                content=report.model_dump_json().encode(),
                parse=IndexReportAnswer.model_validate_json,
            )
        )

    async def add_run(self, kind: IndexRunKind) -> IndexRun:
        """Add a run, which the caller then claims and executes; if one is already queued, return that one."""
        return await self._run("POST", "/runs", IndexRunCreate(kind=kind))

    async def claim_run(self, run_id: int, owner: str) -> IndexRun:
        """Acquire or renew the lease of a run. Progress reports renew it too.

        Raises ConflictError if another run is in progress, another owner holds this one, or it has finished.
        """
        return await self._run("POST", f"/runs/{run_id:d}/claim", IndexRunClaim(owner=owner))

    async def report_run(self, run_id: int, progress: IndexRunProgress) -> IndexRun:
        """Report a run's progress, which renews the lease, or its end.

        Raises ConflictError if another owner has taken over the run: stop working on it.
        """
        return await self._run("PUT", f"/runs/{run_id:d}/progress", progress)

    async def _run(
        self, method: str, path: str, content: IndexRunCreate | IndexRunClaim | IndexRunProgress
    ) -> IndexRun:
        return await self._send(
            Call(
                method=method,
                path=f"{INTERNAL_INDEX}{path}",
                content=content.model_dump_json().encode(),
                parse=IndexRun.model_validate_json,
            )
        )

    async def _send(self, call: Call[T]) -> T:
        with _naming_the_key():
            return await self._client.send(call)


@contextmanager
def _naming_the_key() -> Iterator[None]:
    """Say what to set where the conversations API refuses the key. Jobs are retried, as if it were away."""
    try:
        yield
    except APIStatusError as error:
        if error.status_code not in (401, 403):
            raise
        detail = (error.problem and error.problem.detail) or "no reason"
        raise ServiceKeyRefusedError(
            "The conversations API refuses this worker's key; set MH_SERVICE_KEY, or MH_SERVICE_KEY_FILE, to the same "
            f"key for both ({error.status_code}: {detail})"
        ) from error


@asynccontextmanager
async def connected_api(
    settings: ConversationsSettings, service: ServiceKeySettings, retries: int = RETRIES
) -> AsyncIterator[ConversationsAPI]:
    """Yield a client that sends the service key, if there is one, with every call, and closes it after the block."""
    key = service.service_key
    async with httpx.AsyncClient(event_hooks={"request": [inject_trace_headers]}) as http:
        client = AsyncClient(
            settings.url,
            # An empty one: no key, rather than that of whoever started the worker.
            api_key=key.get_secret_value() if key else "",
            timeout=settings.timeout,
            http_client=http,
            max_retries=retries,
        )
        yield ConversationsAPI(client)


async def check_key(settings: ConversationsSettings, service: ServiceKeySettings) -> None:
    """Raise ServiceKeyRefusedError if the conversations API refuses the key; return if it does not answer now."""
    async with connected_api(settings, service, retries=0) as api:
        try:
            await api.versions(after=conversation_unit(0), limit=1)
        except ServiceKeyRefusedError:
            raise
        except MHError:
            # It may start later than the worker, whose jobs are retried until then.
            return
