"""Errors as RFC 9457 problem documents (application/problem+json)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mh_common import errors
from mh_common.models import Problem
from mh_common.models.faults import field_problems

log = structlog.get_logger(__name__)

PROBLEM_JSON: Final = "application/problem+json"
UNEXPECTED_ERROR: Final = "unexpected_error"
_SCHEMAS: Final = "#/components/schemas/{model}"
_LOCATIONS: Final = (("body",), ("query",), ("path",), ("header",))
Statuses = Mapping[type[errors.DomainError], int]
"""HTTP status by class of domain error; the most derived class counts."""

STATUS_OF: Final[Statuses] = {
    errors.AuthenticationError: 401,
    errors.PermissionDeniedError: 403,
    errors.ForbiddenOriginError: 403,
    errors.NotFoundError: 404,
    errors.InvalidRequestError: 400,
    errors.VersionConflictError: 412,
    errors.IdempotencyConflictError: 409,
    errors.IdempotencyMismatchError: 422,
    errors.LeaseConflictError: 409,
    errors.FeatureDisabledError: 409,
    errors.ConflictError: 409,
    errors.TooManyAttemptsError: 429,
    errors.UnavailableError: 503,
}
"""For the domain errors common to all services."""


@dataclass(frozen=True)
class _ProblemParts:
    """The parts of a problem that do not depend on the request."""

    status: int
    detail: str | None
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def to_problem(
    error: Exception, statuses: Statuses = STATUS_OF, *, instance: str | None = None, request_id: str | None = None
) -> tuple[Problem, Mapping[str, str]]:
    """Return the problem document for an error, and the response headers that belong to it. No I/O.

    Takes any exception; unexpected ones become a 500 that reveals nothing about them.

    Args:
        error: the exception.
        statuses: HTTP statuses of the service's own domain errors, added to the common ones.
        instance: the request's path.
        request_id: the request's id.
    """
    parts = _problem_parts(error, statuses)
    problem = Problem(
        title=HTTPStatus(parts.status).phrase,
        status=parts.status,
        detail=parts.detail,
        instance=instance,
        request_id=request_id,
        **parts.members,
    )
    return problem, parts.headers


def _problem_parts(error: Exception, statuses: Statuses) -> _ProblemParts:
    if isinstance(error, errors.DomainError) and (status := _status_of(error, statuses)) is not None:
        return _ProblemParts(status, str(error), error.members, _headers(error))
    if isinstance(error, RequestValidationError):
        return _validation_error(error)
    if isinstance(error, HTTPException):
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        return _ProblemParts(error.status_code, detail, headers=error.headers or {})
    return _ProblemParts(500, "An unexpected error occurred. Include the request_id when you report it.")


def _headers(error: errors.DomainError) -> Mapping[str, str]:
    if isinstance(error, errors.UnavailableError | errors.TooManyAttemptsError):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, errors.AuthenticationError):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _status_of(error: errors.DomainError, statuses: Statuses) -> int | None:
    table = {**STATUS_OF, **statuses}
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)


def _validation_error(error: RequestValidationError) -> _ProblemParts:
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return _ProblemParts(400, "The body is not valid JSON.")
    in_body = all(fault["loc"][:1] == ("body",) for fault in faults)
    status, part = (422, "body is") if in_body else (400, "parameters are")
    detail = f"The request's {part} invalid; see errors."
    return _ProblemParts(status, detail, {"errors": field_problems([_without_location(fault) for fault in faults])})


def _without_location(fault: Mapping[str, Any]) -> Mapping[str, Any]:
    # The first part says where the field is; a field can have the same name ("query").
    return {**fault, "loc": fault["loc"][1:]} if fault["loc"][:1] in _LOCATIONS else fault


def problem_of(request: Request, error: Exception, statuses: Statuses = STATUS_OF) -> tuple[Problem, Mapping[str, str]]:
    """Return `to_problem` for an error of this request; unexpected errors are logged."""
    problem, headers = to_problem(
        error, statuses, instance=request.url.path, request_id=request.scope.get("request_id")
    )
    if problem.status == 500:
        log.error(UNEXPECTED_ERROR, exc_info=error)
    return problem, headers


def install_problems(app: FastAPI, statuses: Statuses = STATUS_OF) -> None:
    """Return every error of `app` as a problem document; `statuses` adds the service's own domain errors."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        problem, headers = problem_of(request, error, statuses)
        body = problem.model_dump(mode="json", exclude_none=True)
        return JSONResponse(body, problem.status, dict(headers), PROBLEM_JSON)

    for kind in (errors.DomainError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
    _document_problems(app)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI `responses` for these problem statuses of a route."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": _SCHEMAS.format(model="Problem")}}},
        }
        for status in statuses
    }


def _document_problems(app: FastAPI) -> None:
    """Add the schema of problems to the application's OpenAPI document.

    As a route's `model` it would be documented as application/json, which problems never are.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = Problem.model_json_schema(ref_template=_SCHEMAS)
        parts = schema.pop("$defs", {})
        document.setdefault("components", {}).setdefault("schemas", {}).update({"Problem": schema, **parts})
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema
