"""Liveness and readiness routes, the same in every API."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response

from mh_common.errors import DomainError
from mh_common.models import DependencyHealth, Readiness
from mh_common.web.access import PUBLIC

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[None]]
"""Returns when the dependency can be used; raises otherwise."""

CHECK_TIMEOUT: Final = 3.0
"""Seconds that a check may take; one of an optional dependency a third of it: who asks must not give up over it."""
DEPENDENCY_NOT_READY: Final = "dependency_not_ready"


async def _run(name: str, check: Check, limit: float) -> DependencyHealth:
    try:
        async with asyncio.timeout(limit):
            await check()
    except TimeoutError:
        return DependencyHealth(ok=False, detail=f"{name} did not respond within {limit:.0f} s")
    except DomainError as error:  # its message is meant for users
        log.warning(DEPENDENCY_NOT_READY, dependency=name, error=type(error).__name__)
        return DependencyHealth(ok=False, detail=str(error))
    except Exception as error:  # any error of a driver means: not ready
        log.warning(DEPENDENCY_NOT_READY, dependency=name, error=type(error).__name__)
        return DependencyHealth(ok=False, detail=f"{name} is unavailable ({type(error).__name__})")
    return DependencyHealth(ok=True)


async def readiness(checks: Mapping[str, Check], optional: frozenset[str] = frozenset()) -> Readiness:
    """Run the checks concurrently. Those in `optional` do not affect readiness."""
    limits = {name: CHECK_TIMEOUT / 3 if name in optional else CHECK_TIMEOUT for name in checks}
    found = await asyncio.gather(*(_run(name, check, limits[name]) for name, check in checks.items()))
    health = dict(zip(checks, found, strict=True))
    return Readiness(
        ready=all(dependency.ok for name, dependency in health.items() if name not in optional),
        checked_at=datetime.now(UTC),
        dependencies=health,
    )


def health_routes(
    checks_of: Callable[[Request], Mapping[str, Check]], optional: frozenset[str] = frozenset()
) -> APIRouter:
    """Return the routes /livez and /readyz; `checks_of` returns each dependency's check by name.

    Dependencies in `optional` are reported, but the service stays ready without them.
    """
    router = APIRouter(tags=["health"], dependencies=[PUBLIC])

    @router.get("/livez")
    async def live() -> dict[str, str]:
        """Liveness: the process responds. Restart it when this fails."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"model": Readiness}})
    async def ready(request: Request, response: Response) -> Readiness:
        """Readiness: whether each dependency is available. Route no requests here while this returns 503."""
        answer = await readiness(checks_of(request), optional)
        response.status_code = 200 if answer.ready else 503
        return answer

    return router
