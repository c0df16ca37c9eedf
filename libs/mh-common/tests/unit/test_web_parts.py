"""Error responses and logs of every API."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query, Request
from mh_common.errors import (
    DomainError,
    IdempotencyConflictError,
    IdempotencyMismatchError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    VersionConflictError,
)
from mh_common.logging import configure_logging
from mh_common.models import BulkCreate, FieldProblem
from mh_common.settings import LogSettings
from mh_common.web import health
from mh_common.web.health import Check, health_routes
from mh_common.web.problems import PROBLEM_JSON, install_problems, problem_responses
from mh_common.web.request_ids import RequestIdMiddleware


class TeapotError(DomainError):
    """An error that only one service has."""


ERRORS: dict[str, Exception] = {
    "absent": NotFoundError("There is no conversation 7."),
    "invalid": InvalidRequestError("No such sort.", [FieldProblem(field="sort", message="is unknown")]),
    "version": VersionConflictError("Changed meanwhile."),
    "busy": IdempotencyConflictError("Still in work."),
    "other": IdempotencyMismatchError("Another body."),
    "down": UnavailableError("The database does not answer.", retry_after=7),
    "teapot": TeapotError("Short and stout."),
    "bug": RuntimeError("SELECT secret FROM patients"),
}


async def _fine() -> None:
    return None


async def _broken() -> None:
    raise ConnectionError("password=hunter2")


async def _explained() -> None:
    raise UnavailableError("The collection belongs to another model.")


async def _never() -> None:
    await asyncio.Event().wait()


CHECKS: dict[str, Check] = {}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_problems(app, {TeapotError: 418})
    app.add_middleware(RequestIdMiddleware)
    app.include_router(health_routes(lambda _: CHECKS, optional=frozenset({"extra"})))

    @app.get("/errors/{name}", responses=problem_responses(404, 503))
    async def fail(name: str) -> None:
        raise ERRORS[name]

    @app.post("/bulk")
    async def bulk(rows: BulkCreate) -> int:
        return len(rows.items)

    @app.get("/things/{key}")
    async def things(key: int, limit: Annotated[int, Query(ge=1)] = 1) -> int:
        return key + limit

    @app.get("/echo")
    async def echo(request: Request) -> str:
        return str(request.scope["request_id"])

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("absent", 404),
        ("invalid", 400),
        ("version", 412),
        ("busy", 409),
        ("other", 422),
        ("down", 503),
        ("teapot", 418),
    ],
)
async def test_a_domain_error_is_a_problem_document(client: httpx.AsyncClient, name: str, status: int) -> None:
    response = await client.get(f"/errors/{name}", headers={"X-Request-ID": "from-caller"})
    problem = response.json()

    assert (response.status_code, response.headers["content-type"]) == (status, PROBLEM_JSON)
    assert problem["status"] == status
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["detail"] == str(ERRORS[name])
    assert problem["instance"] == f"/errors/{name}"
    assert problem["request_id"] == response.headers["X-Request-ID"] == "from-caller"


async def test_unavailable_has_retry_after_and_invalid_names_the_field(client: httpx.AsyncClient) -> None:
    assert (await client.get("/errors/down")).headers["Retry-After"] == "7"
    assert (await client.get("/errors/invalid")).json()["errors"] == [{"field": "sort", "message": "is unknown"}]


async def test_an_unexpected_error_is_a_500_without_internals(client: httpx.AsyncClient) -> None:
    response = await client.get("/errors/bug")

    assert (response.status_code, response.headers["content-type"]) == (500, PROBLEM_JSON)
    assert "SELECT" not in response.text
    assert response.json()["request_id"]


async def test_an_invalid_body_is_reported_by_row_and_field_without_its_text(client: httpx.AsyncClient) -> None:
    good = {"question": "q", "answer": "a", "question_sentiment": "neutral", "answer_sentiment": "neutral"}
    bad = {"question": "private\x00text", "answer": "a", "question_sentiment": "sad", "mood": 1}

    response = await client.post("/bulk", json={"items": [good, bad]})

    assert response.status_code == 422
    assert {(error["field"], error["row"]) for error in response.json()["errors"]} == {
        ("items.1.question", 1),
        ("items.1.question_sentiment", 1),
        ("items.1.answer_sentiment", 1),
        ("items.1.mood", 1),
    }
    messages = {error["field"]: error["message"] for error in response.json()["errors"]}
    assert messages["items.1.answer_sentiment"] == "is required"
    assert messages["items.1.mood"].startswith("is unknown")
    assert "private" not in response.text


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"content": b"{nope", "headers": {"Content-Type": "application/json"}}, 400, "not valid JSON"),
        ({"content": b"{}"}, 422, "Content-Type: application/json"),
        ({"json": {"items": []}}, 422, "items"),
    ],
)
async def test_an_unusable_body_is_reported_with_what_to_change(
    client: httpx.AsyncClient, request_: dict[str, object], status: int, words: str
) -> None:
    response = await client.request("POST", "/bulk", **request_)  # type: ignore[arg-type]

    assert response.status_code == status
    assert words in response.text


@pytest.mark.parametrize("path", ["/things/seven", "/things/7?limit=0"])
async def test_bad_parameters_are_400(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 400
    assert response.json()["errors"]


async def test_unknown_paths_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    missing, wrong = await client.get("/nowhere"), await client.delete("/bulk")

    assert (missing.status_code, missing.headers["content-type"]) == (404, PROBLEM_JSON)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "<script>"])
async def test_a_malformed_request_id_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    response = await client.get("/echo", headers={"X-Request-ID": given})

    assert response.json() == response.headers["X-Request-ID"] != given
    assert len(response.json()) == 32


async def test_readiness_names_each_dependency_without_secrets(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT", 0.01)
    for name, check in {"good": _fine, "bad": _broken, "slow": _never, "told": _explained}.items():
        monkeypatch.setitem(CHECKS, name, check)

    response = await client.get("/readyz")
    found = response.json()["dependencies"]

    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert {name: entry["ok"] for name, entry in found.items()} == {
        "good": True,
        "bad": False,
        "slow": False,
        "told": False,
    }
    assert found["told"]["detail"] == "The collection belongs to another model."
    assert "hunter2" not in response.text


async def test_an_optional_dependency_does_not_affect_readiness(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHECKS, "extra", _broken)

    response = await client.get("/readyz")

    assert (response.status_code, response.json()["ready"]) == (200, True)
    assert response.json()["dependencies"]["extra"]["ok"] is False
    assert (await client.get("/livez")).json() == {"status": "ok"}


async def test_an_optional_dependency_that_hangs_is_given_up_earlier(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = asyncio.Event()

    async def hangs() -> None:
        try:
            await _never()
        finally:
            given_up.set()

    async def waits_for_that() -> None:
        await given_up.wait()

    monkeypatch.setitem(CHECKS, "extra", hangs)
    monkeypatch.setitem(CHECKS, "slow", waits_for_that)

    response = await client.get("/readyz")

    assert response.status_code == 200
    assert {name: entry["ok"] for name, entry in response.json()["dependencies"].items()} == {
        "extra": False,
        "slow": True,
    }


async def test_each_request_is_one_json_line_with_its_id_and_without_its_query(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogSettings(), "example")

    await client.get("/things/5", params={"limit": 3, "q": "my secret"}, headers={"X-Request-ID": "r1"})

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [line] = [line for line in lines if line["event"] == "request_completed"]
    assert (line["service"], line["request_id"], line["route"], line["status"]) == (
        "example",
        "r1",
        "/things/{key}",
        200,
    )
    assert "secret" not in json.dumps(lines)
