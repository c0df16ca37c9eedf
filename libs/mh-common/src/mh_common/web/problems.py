"""Errors as RFC 9457 problem documents (application/problem+json)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mh_common import errors
from mh_common.models import FieldProblem, Problem

log = structlog.get_logger(__name__)

PROBLEM_JSON: Final = "application/problem+json"
UNEXPECTED_ERROR: Final = "unexpected_error"
_SCHEMAS: Final = "#/components/schemas/{model}"
_PLACES: Final = (("body",), ("query",), ("path",), ("header",))
_PLAIN: Final = {
    "extra_forbidden": "is not a known name here; leave it out or correct it",
    "missing": "is required",
    "model_attributes_type": "must be a JSON object, sent with Content-Type: application/json",
}
"""What pydantic says in its own terms, in words that tell what to change; by error type."""

Statuses = Mapping[type[errors.DomainError], int]
"""The HTTP status of each kind of domain error; of several kinds that fit an error the nearest counts."""

STATUS_OF: Final[Statuses] = {
    errors.NotFoundError: 404,
    errors.InvalidRequestError: 400,
    errors.VersionConflictError: 412,
    errors.IdempotencyConflictError: 409,
    errors.IdempotencyMismatchError: 422,
    errors.LeaseConflictError: 409,
    errors.TurnedOffError: 409,
    errors.UnavailableError: 503,
}
"""Of the domain errors that every service has."""


@dataclass(frozen=True)
class _Told:
    """What a caller is told of an error, without what belongs to the request."""

    status: int
    detail: str | None
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def to_problem(
    error: Exception, statuses: Statuses = STATUS_OF, *, instance: str | None = None, request_id: str | None = None
) -> tuple[Problem, Mapping[str, str]]:
    """Return the problem that an error is to a caller, and the headers that belong to it (Retry-After, Allow).

    Takes any exception; of one that nobody expected the problem, a 500, repeats nothing. No I/O.

    Args:
        error: what was raised.
        statuses: those of the service's own domain errors. The common ones need not be among them.
        instance: the request's path.
        request_id: the request's id.
    """
    told = _told(error, statuses)
    problem = Problem(
        title=HTTPStatus(told.status).phrase,
        status=told.status,
        detail=told.detail,
        instance=instance,
        request_id=request_id,
        **told.members,
    )
    return problem, told.headers


def _told(error: Exception, statuses: Statuses) -> _Told:
    if isinstance(error, errors.DomainError) and (status := _status_of(error, statuses)) is not None:
        retry_after = error.retry_after if isinstance(error, errors.UnavailableError) else None
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return _Told(status, str(error), error.members, headers)
    if isinstance(error, RequestValidationError):
        return _validation_error(error)
    if isinstance(error, HTTPException):
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        return _Told(error.status_code, detail, headers=error.headers or {})
    return _Told(500, "Something went wrong here. Name the request_id when you report it.")


def _status_of(error: errors.DomainError, statuses: Statuses) -> int | None:
    table = {**STATUS_OF, **statuses}
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)


def _validation_error(error: RequestValidationError) -> _Told:
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return _Told(400, "The body is not valid JSON.")
    in_body = all(fault["loc"][:1] == ("body",) for fault in faults)
    status, refused = (422, "body is") if in_body else (400, "parameters are")
    detail = f"The request's {refused} not acceptable; see errors."
    return _Told(status, detail, {"errors": field_problems(faults)})


def field_problems(faults: Sequence[Any]) -> list[FieldProblem]:
    """Translate pydantic's error list; the input itself is never repeated."""
    found = []
    for fault in faults:
        # The first part tells where the field stands; a field can have the same name ("query").
        path = fault["loc"][1:] if fault["loc"][:1] in _PLACES else fault["loc"]
        # The rows of a bulk request travel in `items`.
        row = path[1] if path[:1] == ("items",) and len(path) > 1 else None
        message = _PLAIN.get(fault["type"], str(fault["msg"]).removeprefix("Value error, "))
        found.append(FieldProblem(field=".".join(map(str, path)), message=message, row=row))
    return found


def problem_of(request: Request, error: Exception, statuses: Statuses = STATUS_OF) -> tuple[Problem, Mapping[str, str]]:
    """Return what `to_problem` makes of an error that ended this request; one that nobody expected is logged."""
    problem, headers = to_problem(
        error, statuses, instance=request.url.path, request_id=request.scope.get("request_id")
    )
    if problem.status == 500:
        log.error(UNEXPECTED_ERROR, exc_info=error)
    return problem, headers


def install_problems(app: FastAPI, statuses: Statuses = STATUS_OF) -> None:
    """Let every error leave `app` as a problem document; `statuses` adds the service's own domain errors."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        problem, headers = problem_of(request, error, statuses)
        body = problem.model_dump(mode="json", exclude_none=True)
        return JSONResponse(body, problem.status, dict(headers), PROBLEM_JSON)

    for kind in (errors.DomainError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
    _document_problems(app)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these problems, for its OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": _SCHEMAS.format(model="Problem")}}},
        }
        for status in statuses
    }


def _document_problems(app: FastAPI) -> None:
    """Add the problem's schema to the application's OpenAPI document.

    Given as a route's `model` it would also be documented as application/json, which problems never are.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = Problem.model_json_schema(ref_template=_SCHEMAS)
        parts = schema.pop("$defs", {})
        document.setdefault("components", {}).setdefault("schemas", {}).update({"Problem": schema, **parts})
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
