"""What a route's `responses` say in the OpenAPI document: a worked example, headers, and the problems that can come."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from mh_common.web.problems import problem_responses

Responses: TypeAlias = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Return the problems that a route can answer: these, and those that each one can."""
    # Without a default FastAPI would add a 422 in a form of its own, also where there is no body.
    return {**problem_responses(*statuses, 503), "default": problem_responses(500)[500]}


def answers(example: object, *statuses: int, status: int = 200, headers: Mapping[str, Any] | None = None) -> Responses:
    """Return a route's answer by example, with the problems that it can answer instead.

    Args:
        example: the body of the answer.
        statuses: those of the problems, but for 500 and 503, which any route can answer.
        status: that of the answer.
        headers: of the answer, as OpenAPI describes them, by name.
    """
    answer: dict[str, Any] = {"content": {"application/json": {"example": example}}}
    if headers:
        answer["headers"] = dict(headers)
    return {status: answer, **problems(*statuses)}
