"""The OpenAPI documents that both running services serve. (That each problem met is in them, `conftest.py` checks.)"""

import re
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import rag_api.main  # noqa: F401 - imports every integration
from fastapi.openapi.models import OpenAPI
from mh_common import models
from mh_devtools.stack.server_stack import ServerStack
from pydantic import BaseModel

pytestmark = [pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis]

JSON = "application/json"


@pytest.fixture(params=["api_url", "rag_url"])
def document(request: pytest.FixtureRequest, platform: ServerStack) -> dict[str, Any]:
    """The document of each service."""
    served: dict[str, Any] = httpx.get(f"{getattr(platform, request.param)}/openapi.json").raise_for_status().json()
    return served


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((f"{method.upper()} {path}", operation) for method, operation in methods.items())


def references(node: object) -> Iterator[str]:
    """Every $ref below a node."""
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from references(part)


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert OpenAPI.model_validate(document).openapi.startswith("3.1")
    for reference in references(document):
        prefix, _, name = reference.rpartition("/")
        assert prefix == "#/components/schemas"
        assert name in document["components"]["schemas"]
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names)) > 0
    for name, operation in operations(document):
        parameters = operation.get("parameters", [])
        in_path = {one["name"] for one in parameters if one["in"] == "path" and one["required"]}
        assert in_path == set(re.findall(r"{(\w+)}", name)), name
        assert operation["summary"], name


def model_named(name: str) -> type[BaseModel]:
    """A model that the services share, or one of an integration's own."""
    places = [models, *(module for path, module in sys.modules.items() if path.startswith("rag_api.integrations."))]
    found: set[type[BaseModel]] = {getattr(place, name) for place in places if hasattr(place, name)}
    assert len(found) == 1, name
    return found.pop()


def test_each_request_body_has_an_example_that_is_accepted(document: dict[str, Any]) -> None:
    bodies = {name: operation for name, operation in operations(document) if "requestBody" in operation}
    assert bodies
    for name, operation in bodies.items():
        content = operation["requestBody"]["content"][JSON]
        kind = content["schema"]["$ref"].rpartition("/")[2]
        examples = [example["value"] for example in content.get("examples", {}).values()]
        examples += document["components"]["schemas"][kind].get("examples", [])
        assert examples, name
        model = model_named(kind)
        for example in examples:
            model.model_validate_json(httpx.Request("POST", "http://api", json=example).content)


def test_each_problem_is_a_problem_document(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if "/api/v1/" not in name:
            continue
        statuses = [status for status in operation["responses"] if status.isdecimal() and int(status) >= 400]
        # Who calls must be found out even where nothing else is needed.
        assert "503" in statuses, name
        for status in statuses:
            content = operation["responses"][status]["content"]
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}, name
            assert operation["responses"][status]["description"], name
