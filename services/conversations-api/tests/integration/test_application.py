"""The application as a whole: start, health, OpenAPI, errors."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from conversations_api.database import SessionFactory
from conversations_api.main import create_app
from conversations_api.settings import DatabaseSettings, Settings
from mh_common.web.application import BACKGROUND_TASK_FAILED
from mh_devtools import servers
from mh_devtools.testing.fixtures import RunApp
from mh_devtools.testing.waiting import until_logged
from structlog.testing import capture_logs

PATH = "/api/v1/conversations"
INDEX = "/api/v1/index"
EXPERIMENTS = "/api/v1/experiments"
HISTORY = "/api/v1/history"
ON_SQLITE = pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)


async def test_health_names_each_dependency(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["dependencies"] == {
        "database": {"ok": True, "detail": None},
        "redis": {"ok": True, "detail": None},
    }


async def test_without_its_database_the_application_is_not_ready(
    run_app: RunApp, settings: Settings, sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: object) -> None:
        raise ConnectionRefusedError("db.internal:3306")

    monkeypatch.setattr("conversations_api.main.ping", refuse)
    async with run_app(settings) as client:
        ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["dependencies"]["database"]["ok"] is False
    assert "db.internal" not in ready.text


@pytest.mark.usefixtures("purged_at_once")
async def test_it_ends_at_once_while_its_background_tasks_connect(run_app: RunApp, settings: Settings) -> None:
    async with asyncio.timeout(60), run_app(settings) as client:
        assert (await client.get("/livez")).status_code == 200


@ON_SQLITE
async def test_a_background_task_that_ends_in_an_error_is_reported(
    run_app: RunApp, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr("conversations_api.main.purge_regularly", fail)
    with capture_logs() as logs:
        async with run_app(settings) as client:
            await until_logged(logs, BACKGROUND_TASK_FAILED)
            assert (await client.get(f"{PATH}/stats")).status_code == 200


def start(database: DatabaseSettings, folder: Path, port: int) -> subprocess.Popen[str]:
    """Serve the application as in production."""
    return subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "conversations_api.main:create_app", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": database.url, "REDIS_URL": "redis://127.0.0.1:1/0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_database_without_tables_prevents_the_start_with_one_line(
    empty_database: DatabaseSettings, tmp_path: Path
) -> None:
    process = start(empty_database, tmp_path, servers.free_port())
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if "alembic upgrade head" in line]
    assert "DATABASE_URL" in line


def test_a_missing_database_prevents_the_start_with_one_line(tmp_path: Path) -> None:
    nowhere = DatabaseSettings(url="mysql+aiomysql://root@127.0.0.1:1/legacy_development")
    process = start(nowhere, tmp_path, servers.free_port())
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in output
    assert sum("DATABASE_URL" in line for line in output.splitlines()) == 1


def test_it_serves_and_stops_cleanly(migrated_database: DatabaseSettings, tmp_path: Path) -> None:
    port = servers.free_port()
    process = start(migrated_database, tmp_path, port)
    try:
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            assert client.get("/readyz").json()["ready"] is True
            assert client.get(f"{PATH}?q=private+words").status_code == 200
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=60)
    assert "Traceback" not in output
    assert "private" not in output
    assert "request_completed" in output


def test_the_openapi_document_lists_all_responses() -> None:
    document = create_app(Settings()).openapi()
    assert document["info"]["title"] == "Conversations API"
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith((PATH, INDEX, EXPERIMENTS, HISTORY, "/internal"))
    }
    assert {
        ("GET", PATH),
        ("POST", PATH),
        ("POST", f"{PATH}/bulk"),
        ("POST", f"{PATH}/bulk-delete"),
        ("GET", f"{PATH}/export"),
        ("GET", f"{PATH}/stats"),
        ("GET", f"{INDEX}/summary"),
        ("POST", f"{INDEX}/sync"),
        *((method, f"{PATH}/{{conversation_id}}") for method in ("GET", "PUT", "PATCH", "DELETE")),
        *((method, EXPERIMENTS) for method in ("GET", "POST")),
        *((method, f"{EXPERIMENTS}/{{experiment_id}}") for method in ("GET", "DELETE")),
        *((method, HISTORY) for method in ("GET", "DELETE")),
        *((method, f"{HISTORY}/{{answer_id}}") for method in ("GET", "DELETE")),
        ("POST", "/internal/history"),
        ("PUT", "/internal/history/{answer_id}/feedback"),
        ("POST", "/internal/index/reports"),
    } <= set(operations)
    for name, operation in operations.items():
        answers = operation["responses"]
        assert {"503", "default"} <= set(answers), name
        # 422 is for bodies only; parameters are 400.
        assert ("422" in answers) == ("requestBody" in operation), name
        for status, answer in answers.items():
            if status == "default" or int(status) >= 400:
                assert "application/problem+json" in answer["content"], (name, status)
            elif status in ("200", "201", "202") and "export" not in name[1]:
                assert "example" in answer["content"]["application/json"], name
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], name


@ON_SQLITE
async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("DELETE", PATH, 405), ("GET", f"{PATH}/1/2", 404)):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@ON_SQLITE
async def test_the_documentation_is_served(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).status_code == 200
    assert (await client.get("/docs")).status_code == 200
