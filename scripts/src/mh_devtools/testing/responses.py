"""Create and check httpx responses of our APIs."""

from typing import Any

import httpx
from mh_common.models import Problem
from pydantic import BaseModel


def model_response(model: BaseModel, status: int = 200) -> httpx.Response:
    """Return a response with a model as JSON."""
    return httpx.Response(status, content=model.model_dump_json(), headers={"Content-Type": "application/json"})


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Check that a response is a complete problem document with this status; return its body.

    Raises:
        AssertionError: it is another response, or its status or request id differ from its headers.
        pydantic.ValidationError: its body is not a `Problem`.
    """
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert (problem.status, problem.request_id) == (status, response.headers["X-Request-ID"])
    assert problem.title
    assert problem.detail
    body: dict[str, Any] = response.json()
    return body
