"""The common application of all APIs: startup, shutdown, and mounting in another one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, HTTPException, Request
from mh_common.settings import OtelSettings
from mh_common.web.access import PUBLIC
from mh_common.web.application import BACKGROUND_TASK_FAILED, Start, make_application, run_in_background
from mh_common.web.metrics import NO_TELEMETRY
from mh_common.web.request_ids import REQUEST_COMPLETED
from mh_devtools.stubs.otlp_stub import StubCollector
from mh_devtools.testing.exposition import metric_value
from mh_devtools.testing.waiting import until_logged
from starlette.types import ASGIApp, Message
from structlog.testing import capture_logs


async def nothing(_: AsyncExitStack) -> Mapping[str, Any]:
    return {}


def application(start: Start = nothing, otel: OtelSettings | None = None, **options: Any) -> FastAPI:
    return make_application(
        start,
        service="mh-common",
        otel=otel or OtelSettings(),
        title="Example",
        description="",
        checks=lambda _: {},
        **options,
    )


def mounted(app: FastAPI) -> FastAPI:
    """Mount a separate application under /inner."""
    inner = FastAPI(telemetry=NO_TELEMETRY)

    @inner.get("/things/{key}", dependencies=[PUBLIC])
    async def thing(key: int, request: Request) -> dict[str, Any]:
        if not key:
            raise HTTPException(418)
        return {"state": request.state.name, "request_id": request.scope["request_id"]}

    app.mount("/inner", inner)
    return app


@asynccontextmanager
async def client_of(app: ASGIApp, root_path: str = "") -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60) as manager:
        transport = httpx.ASGITransport(manager.app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def test_it_has_health_metrics_and_its_package_version() -> None:
    async with client_of(application()) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).json()["ready"] is True
        assert "mh_http_requests_total" in (await client.get("/metrics")).text
        document = (await client.get("/openapi.json")).json()
        missing = await client.get("/nowhere")
    assert document["info"]["version"] == version("mh-common")
    assert missing.headers["Content-Type"] == "application/problem+json"
    assert missing.json()["request_id"] == missing.headers["X-Request-ID"]


async def test_clean_ups_run_in_reverse_and_the_background_task_is_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async def start(stack: AsyncExitStack) -> Mapping[str, Any]:
        stack.callback(ended.append, "store")
        await stack.enter_async_context(run_in_background(work()))
        return {}

    async with client_of(application(start)) as client:
        assert (await client.get("/livez")).status_code == 200
        assert ended == []
    assert ended == ["work", "store"]


async def test_a_failed_background_task_is_logged_and_the_application_keeps_running() -> None:
    async def fail() -> None:
        raise RuntimeError("no more")

    async def start(stack: AsyncExitStack) -> Mapping[str, Any]:
        await stack.enter_async_context(run_in_background(fail()))
        return {}

    app = application(start)
    with capture_logs() as logs:
        async with client_of(app) as client:
            await until_logged(logs, BACKGROUND_TASK_FAILED)
            assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize(("kind", "shown"), [(ConnectionError, "start the store"), (ValueError, "Traceback")])
async def test_known_startup_errors_are_one_line(kind: type[Exception], shown: str) -> None:
    async def start(_: AsyncExitStack) -> Mapping[str, Any]:
        raise kind("start the store")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = application(start, startup_errors=(ConnectionError,))
    with pytest.raises(kind):
        await app({"type": "lifespan", "state": {}}, receive, send)
    [failed] = sent
    assert failed["message"].startswith(shown)


@pytest.mark.parametrize("root_path", ["", "/behind-a-gateway"])
async def test_a_mounted_application_has_ids_state_and_labels_like_any_route(root_path: str) -> None:
    async def start(_: AsyncExitStack) -> Mapping[str, Any]:
        return {"name": "of the outer one"}

    app = mounted(application(start))
    labels = {"route": "/inner/things/{key}", "method": "GET"}
    async with client_of(app, root_path) as client:
        before = (await client.get("/metrics")).text
        with capture_logs() as logs:
            # In ASGI the path includes the root path.
            answer = await client.get(f"{root_path}/inner/things/7", headers={"X-Request-ID": "r-1"})
            refused = await client.get(f"{root_path}/inner/things/0")
        after = (await client.get("/metrics")).text
    assert answer.json() == {"state": "of the outer one", "request_id": "r-1"}
    assert answer.headers["X-Request-ID"] == "r-1"
    lines = [(line["route"], line["status"]) for line in logs if line["event"] == REQUEST_COMPLETED]
    assert lines == [("/inner/things/{key}", 200), ("/inner/things/{key}", refused.status_code)]
    for status in ("200", "418"):
        counted = [metric_value(text, "mh_http_requests_total", status=status, **labels) for text in (before, after)]
        assert counted[1] - counted[0] == 1


async def test_a_mounted_application_s_spans_are_named_by_the_whole_route() -> None:
    async def start(_: AsyncExitStack) -> Mapping[str, Any]:
        return {"name": ""}

    with StubCollector.running() as collector:
        otel = OtelSettings(exporter_otlp_endpoint=collector.base_url)
        async with client_of(mounted(application(start, otel))) as client:
            await client.get("/inner/things/7")
        [span] = collector.named("GET /inner/things/{key}")
    assert span.attributes["http.route"] == "/inner/things/{key}"


async def test_work_that_takes_its_cancellation_for_a_failure_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mh_common.web.application.CANCEL_INTERVAL_S", 0.01)
    cancelled = 0

    async def work() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
        await asyncio.Event().wait()

    async with run_in_background(work()):
        await asyncio.sleep(0)
    assert cancelled == 2
