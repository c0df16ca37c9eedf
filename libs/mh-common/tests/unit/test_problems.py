"""The problem document for each kind of error."""

import pytest
from fastapi.exceptions import RequestValidationError
from mh_common.errors import DomainError, InvalidRequestError, NotFoundError, UnavailableError
from mh_common.models import FieldProblem
from mh_common.web.problems import UNEXPECTED_ERROR, to_problem
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

SECRET = "SELECT secret FROM patients"


class TeapotError(DomainError):
    """An error that only one service has."""


class SmallTeapotError(TeapotError):
    """A subclass of it."""


class NoTeapotError(NotFoundError):
    """A service's own subclass of a common error."""


class Form(BaseModel):
    age: int


def refused(value: object, *place: str | int) -> RequestValidationError:
    with pytest.raises(ValidationError) as refusal:
        Form.model_validate({"age": value})
    return RequestValidationError([{**fault, "loc": (*place, *fault["loc"])} for fault in refusal.value.errors()])


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (NotFoundError("There is no conversation 7."), 404, "There is no conversation 7."),
        (NoTeapotError("There is no teapot."), 404, "There is no teapot."),
        (TeapotError("Short and stout."), 418, "Short and stout."),
        (SmallTeapotError("Shorter."), 418, "Shorter."),
        (refused("old", "body"), 422, "The request's body is invalid; see errors."),
        (refused("old", "query"), 400, "The request's parameters are invalid; see errors."),
        (HTTPException(405), 405, None),
        (HTTPException(403, "Keys of your own are turned off here."), 403, "Keys of your own are turned off here."),
    ],
)
def test_expected_errors_keep_their_message(error: Exception, status: int, detail: str | None) -> None:
    problem, headers = to_problem(error, {TeapotError: 418}, instance="/things/7", request_id="r-1")
    assert (problem.status, problem.detail) == (status, detail)
    assert (problem.instance, problem.request_id, headers) == ("/things/7", "r-1", {})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnavailableError("Down.", retry_after=7), {"Retry-After": "7"}),
        (HTTPException(405, headers={"Allow": "GET"}), {"Allow": "GET"}),
    ],
)
def test_headers_come_with_the_problem(error: Exception, expected: dict[str, str]) -> None:
    _, headers = to_problem(error)
    assert headers == expected


def test_members_and_validation_errors_are_included() -> None:
    fault = FieldProblem(field="sort", message="is unknown")
    teapot = TeapotError("Short.")
    teapot.members = {"sources": [{"id": 7}]}
    assert to_problem(InvalidRequestError("No such sort.", [fault]))[0].errors == [fault]
    assert to_problem(teapot, {TeapotError: 418})[0].model_extra == {"sources": [{"id": 7}]}
    [found] = to_problem(refused("a lot", "body"))[0].errors or []
    assert found.field == "age"
    assert "a lot" not in found.message


@pytest.mark.parametrize("error", [RuntimeError(SECRET), TeapotError(SECRET)])
def test_unexpected_errors_are_a_500_without_details_or_side_effects(error: Exception) -> None:
    with capture_logs() as logs:
        problem, headers = to_problem(error)
    assert (problem.status, headers) == (500, {})
    assert SECRET not in problem.model_dump_json()
    # Only the request handler logs.
    assert UNEXPECTED_ERROR not in [entry["event"] for entry in logs]
