"""Build a route's `responses` for the OpenAPI document: an example, headers, and the possible problems."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from mh_common.web.problems import problem_responses

Responses: TypeAlias = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Return the problem responses of a route: these, and 500 and 503, which every route can return."""
    # Without a default response FastAPI would add a 422 in its own format, even for routes without a body.
    return {**problem_responses(*statuses, 503), "default": problem_responses(500)[500]}


def answers(example: object, *statuses: int, status: int = 200, headers: Mapping[str, Any] | None = None) -> Responses:
    """Return the responses of a route: an example of success, and its problems.

    Args:
        example: the response body.
        statuses: statuses of the problems, besides 500 and 503, which every route can return.
        status: status of the successful response.
        headers: OpenAPI header objects of the successful response, by name.
    """
    answer: dict[str, Any] = {"content": {"application/json": {"example": example}}}
    if headers:
        answer["headers"] = dict(headers)
    return {status: answer, **problems(*statuses)}
