"""Errors as RFC 9457 problem documents (application/problem+json)."""

from collections.abc import Mapping, Sequence
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

STATUS_OF: Final[dict[type[errors.DomainError], int]] = {
    errors.NotFoundError: 404,
    errors.InvalidRequestError: 400,
    errors.VersionConflictError: 412,
    errors.IdempotencyConflictError: 409,
    errors.IdempotencyMismatchError: 422,
    errors.LeaseConflictError: 409,
    errors.TurnedOffError: 409,
    errors.UnavailableError: 503,
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these problems, for its OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": _SCHEMAS.format(model="Problem")}}},
        }
        for status in statuses
    }


def problem_response(
    request: Request,
    status: int,
    detail: str | None,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """Return the response for one problem; `members` are further members of the document."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request.scope.get("request_id"),
        **members,
    )
    body = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=PROBLEM_JSON)


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


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    in_body = all(fault["loc"][:1] == ("body",) for fault in faults)
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem_response(request, 400, "The body is not valid JSON.")
    status, refused = (422, "body is") if in_body else (400, "parameters are")
    detail = f"The request's {refused} not acceptable; see errors."
    return problem_response(request, status, detail, errors=field_problems(faults))


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
    return problem_response(request, error.status_code, detail, error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error(UNEXPECTED_ERROR, exc_info=error)
    return problem_response(request, 500, "Something went wrong here. Name the request_id when you report it.")


def install_problems(app: FastAPI, statuses: Mapping[type[errors.DomainError], int] | None = None) -> None:
    """Let every error leave `app` as a problem document; `statuses` adds the service's own domain errors."""
    status_of = {**(statuses or {}), **STATUS_OF}

    async def domain_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, errors.DomainError)
        status = next(status for kind, status in status_of.items() if isinstance(error, kind))
        retry_after = error.retry_after if isinstance(error, errors.UnavailableError) else None
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        return problem_response(request, status, str(error), headers, **error.members)

    app.add_exception_handler(errors.DomainError, domain_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)
    _document_problems(app)


async def problem_of(request: Request, error: Exception) -> JSONResponse:
    """Return the problem document that the application answers this error with, to tell it in another form."""
    handlers = request.app.exception_handlers
    answer = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    response: JSONResponse = await answer(request, error)
    return response


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
