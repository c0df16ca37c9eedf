"""Answers of our APIs as httpx has them: to give in a server's place, and to check."""

from typing import Any

import httpx
from mh_common.models import Problem
from pydantic import BaseModel


def model_response(model: BaseModel, status: int = 200) -> httpx.Response:
    """Return an answer with a wire model."""
    return httpx.Response(status, content=model.model_dump_json(), headers={"Content-Type": "application/json"})


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the body of an error as our APIs answer it (application/problem+json), with all that each must have.

    Raises:
        AssertionError: it is another answer, or says another status or another request's id than its headers.
        pydantic.ValidationError: its body is no `Problem`.
    """
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert (problem.status, problem.request_id) == (status, response.headers["X-Request-ID"])
    assert problem.title
    assert problem.detail
    body: dict[str, Any] = response.json()
    return body
