"""Every request body, tool argument and parameter takes the type that its document states, and no other.

The tests walk the schemas of both applications and of the MCP tools, so that a new model is covered by itself.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import conversations_api.main
import conversations_api.settings
import pytest
import rag_api.main
import rag_api.settings
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from mh_client.mcp_server.tools import TOOLS
from mh_common.models.faults import MAX_LISTED, field_problems
from pydantic import BaseModel, TypeAdapter, ValidationError

Path = tuple[str | int, ...]
Schema = dict[str, Any]
Fault = Mapping[str, Any]

JSON_VALUES: Sequence[tuple[str, Any]] = [
    ("boolean", True),
    ("boolean", False),
    ("integer", 1),
    ("integer", 0),
    ("number", 1.0),
    ("number", 0.5),
    ("string", "1"),
    ("string", "true"),
    ("string", ""),
    ("object", {}),
    ("array", []),
]
"""Values of each JSON type. A number with a decimal point is no integer, even if it is whole."""

SAMPLES: dict[str, Any] = {
    "date-time": "2026-03-01T00:00:00Z",
    "date": "2026-03-01",
    "uuid": "0d1a6f0e-58a5-4f0e-9d5c-3f6f4a2f7c11",
    "boolean": True,
    "number": 0.5,
    "string": "a",
}
PATTERNED: Sequence[str] = ("a", "1", "hit@3", "9f" * 32)
MAX_DEPTH = 8
KEY = "a"
"""Valid wherever the keys of an object are free."""


@dataclass(frozen=True)
class Place:
    """A value in a request: where it is, its schema without null, and whether it may be null or absent."""

    request: str
    path: Path
    schema: Schema
    nullable: bool
    optional: bool

    def __str__(self) -> str:
        return f"{self.request} {'.'.join(map(str, self.path))}"


class Request:
    """A request body or the arguments of a tool: its JSON schema and its validation."""

    def __init__(self, name: str, schema: Schema, check: Callable[[Any], Sequence[Fault]]) -> None:
        self.name = name
        self._root = schema
        self.faults = check

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._root["$defs"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _branches(self, schema: Schema) -> list[Schema]:
        schema = self._resolved(schema)
        parts = schema.get("anyOf") or schema.get("oneOf")
        return [one for part in parts for one in self._branches(part)] if parts else [schema]

    def places(self, schema: Schema | None = None, path: Path = (), *, optional: bool = False) -> Iterator[Place]:
        """Yield every value of the request, from the outside in."""
        branches = self._branches(schema if schema is not None else self._root)
        values = [one for one in branches if one.get("type") != "null"]
        if path:
            yield Place(self.name, path, {"anyOf": values}, len(values) < len(branches), optional)
        if len(path) == MAX_DEPTH:
            return
        for one in values:
            for name, part in one.get("properties", {}).items():
                yield from self.places(part, (*path, name), optional=name not in one.get("required", ()))
            if one.get("type") == "array" and "items" in one:
                yield from self.places(one["items"], (*path, 0))
            if members := _members(one):
                yield from self.places(members, (*path, KEY))

    def body(self, path: Path, value: Any) -> Any:
        """Return a request in which this place has this value and everything else is valid."""
        return self._with(self._root, path, value)

    def _with(self, schema: Schema, path: Path, value: Any) -> Any:
        if not path:
            return value
        for one in self._branches(schema):
            name = path[0]
            if isinstance(name, int):
                if one.get("type") == "array":
                    return [self._with(one["items"], path[1:], value)]
            elif part := one.get("properties", {}).get(name) or _members(one):
                return {**self.sample(one), name: self._with(part, path[1:], value)}
        raise AssertionError(path)

    def sample(self, schema: Schema) -> Any:
        """Return a valid value of this schema; of an object only what is required."""
        schema = next(one for one in self._branches(schema) if one.get("type") != "null")
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "string")
        if kind == "object":
            return {name: self.sample(schema["properties"][name]) for name in schema.get("required", ())}
        if kind == "array":
            return [self.sample(schema["items"])] * schema.get("minItems", 0)
        if kind == "integer":
            return schema.get("minimum", 1)
        if "pattern" in schema:
            return next(text for text in PATTERNED if _is_valid(text, schema))
        return SAMPLES[str(schema.get("format", kind))]


def _members(schema: Schema) -> Schema | None:
    """Return the schema of the values of an object whose keys are free."""
    found = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return next((one for one in found if isinstance(one, dict) and one), None)


def _is_valid(text: str, schema: Schema) -> bool:
    return re.search(schema["pattern"], text) is not None


def _format(place: Place) -> str | None:
    return next((one["format"] for one in place.schema["anyOf"] if "format" in one), None)


def _types(schema: Schema) -> set[str]:
    """Return the JSON types that a place takes; empty if any."""
    if any("type" not in one and "const" not in one and "enum" not in one for one in schema["anyOf"]):
        return set()
    types = [one.get("type", "string") for one in schema["anyOf"]]
    names = {name for one in types for name in ([one] if isinstance(one, str) else one)}
    return names | {"integer"} if "number" in names else names


def _at(faults: Sequence[Fault], path: Path) -> list[Fault]:
    """Return the faults at this path or, where a union reports as a whole, at its parent.

    Unions add names of their own to the places of faults.
    """

    def is_there(place: Sequence[Any]) -> bool:
        parts = iter(place)
        return all(any(part == one for one in parts) for part in path)

    of_unions = ("union_tag_invalid", "value_error") if isinstance(path[-1], int) else ("union_tag_invalid",)
    of_parent = [one for one in faults if path[:-1] and one["loc"][-1] == path[-2] and one["type"] in of_unions]
    return [*(fault for fault in faults if is_there(fault["loc"])), *of_parent]


def _applications() -> list[FastAPI]:
    return [
        conversations_api.main.create_app(conversations_api.settings.Settings()),
        rag_api.main.create_app(rag_api.settings.Settings()),
    ]


def _routes() -> list[APIRoute]:
    return [route for app in APPLICATIONS for route in _flat(app.routes)]


def _flat(routes: Sequence[Any]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _flat(route.original_router.routes)


def _body(route: APIRoute) -> Request:
    field = route.body_field
    assert field is not None
    annotation: Any = field.field_info.annotation
    schema = TypeAdapter(annotation).json_schema()

    def check(value: Any) -> Sequence[Fault]:
        return field.validate(value, {}, loc=("body",))[1] or []

    return Request(f"{min(route.methods or ())} {route.path}", schema, check)


def _arguments(name: str) -> Request:
    model: type[BaseModel] = TOOLS[name].input

    def check(value: Any) -> Sequence[Fault]:
        try:
            model.model_validate(value)
        except ValidationError as error:
            return cast(Sequence[Fault], error.errors(include_input=False))
        return []

    return Request(f"tool {name}", model.model_json_schema(), check)


APPLICATIONS = _applications()
REQUESTS = [
    *(_body(route) for route in _routes() if route.body_field is not None),
    *(_arguments(name) for name in TOOLS),
]
BY_NAME = {request.name: request for request in REQUESTS}
PLACES = [place for request in REQUESTS for place in request.places()]


def test_the_walk_finds_what_there_is() -> None:
    assert len(REQUESTS) >= 20
    found = {str(place) for place in PLACES}
    assert "POST /api/v1/conversations/bulk items.0.question" in found
    assert "POST /internal/index/reports outcomes.0.version" in found
    assert "POST /api/v1/experiments metrics.themes.a.figures.a.low" in found
    assert "tool search created_after" in found


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_other_json_type_is_taken(place: Place) -> None:
    request, allowed = BY_NAME[place.request], _types(place.schema)
    if place.path[-1] in ("question_sentiment", "answer_sentiment"):
        # Data sets have 1 and 0 for positive and negative, and data frames make 1.0 of it.
        allowed = allowed | {"integer", "number"}
    for kind, value in JSON_VALUES if allowed else ():
        faults = _at(request.faults(request.body(place.path, value)), place.path)
        assert bool(faults) or kind in allowed, (kind, value)


@pytest.mark.parametrize("place", [one for one in PLACES if one.optional], ids=str)
def test_null_for_what_is_optional_is_the_same_as_leaving_it_out(place: Place) -> None:
    request = BY_NAME[place.request]

    assert not _at(request.faults(request.body(place.path, None)), place.path)


@pytest.mark.parametrize("place", [one for one in PLACES if "array" in _types(one.schema)], ids=str)
def test_every_list_is_bounded_before_its_members_are_looked_at(place: Place) -> None:
    request = BY_NAME[place.request]
    most = next(one["maxItems"] for one in place.schema["anyOf"] if one.get("type") == "array")

    faults = request.faults(request.body(place.path, [{"wrong": []}] * 500_000))

    assert len(faults) < MAX_LISTED
    as_many = field_problems(request.faults(request.body(place.path, [{"wrong": []}] * most)))
    assert len(as_many) <= MAX_LISTED


def test_more_errors_than_are_listed_are_counted() -> None:
    request = BY_NAME["POST /api/v1/conversations/bulk-delete"]

    problems = field_problems(request.faults({"ids": [True] * 1000}))

    assert len(problems) == MAX_LISTED
    assert problems[-1].message == "and 901 more errors; correct these first"


@pytest.mark.parametrize("place", [one for one in PLACES if _format(one) == "date-time"], ids=str)
def test_a_time_is_no_number_in_any_form(place: Place) -> None:
    request = BY_NAME[place.request]

    for value in (2026, 1772323200, 1772323200.5, "2026", "1772323200", "2026-03-01", "2026-03-01T00:00:00"):
        assert _at(request.faults(request.body(place.path, value)), place.path), value
    assert not _at(request.faults(request.body(place.path, SAMPLES["date-time"])), place.path)


WRONG_NUMBERS = ("1_0", "+1", "-1", "1.0", "1e1", " 1", "1 ", "\u0661", "\uff11", "0x1", "true", "")
WRONG_FLAGS = ("1", "0", "on", "off", "yes", "no", "t", "True", "FALSE", " true", "")


def _parameters() -> Iterator[tuple[str, str, Callable[[str], bool]]]:
    """Yield each number and boolean of paths and queries: its name, its JSON type, and whether it takes a text."""
    for route in _routes():
        for field in _fields(route.dependant):
            kind = field.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                schema = kind.model_json_schema()
                for name, part in schema["properties"].items():
                    yield from _parameter(f"{route.path} {name}", part, _member_check(kind, name, part))
            else:
                schema = TypeAdapter(field.field_info.annotation).json_schema()
                yield from _parameter(f"{route.path} {field.name}", schema, _field_check(field))


def _fields(dependant: Dependant) -> Iterator[Any]:
    yield from (*dependant.path_params, *dependant.query_params)
    for one in dependant.dependencies:
        yield from _fields(one)


def _member_check(model: type[BaseModel], name: str, schema: Schema) -> Callable[[str], bool]:
    def takes(text: str) -> bool:
        try:
            model.model_validate({name: [text] if schema.get("type") == "array" else text})
        except ValidationError:
            return False
        return True

    return takes


def _field_check(field: Any) -> Callable[[str], bool]:
    return lambda text: not field.validate(text, {}, loc=("query",))[1]


def _parameter(name: str, schema: Schema, takes: Callable[[str], bool]) -> Iterator[tuple[str, str, Any]]:
    for one in schema.get("anyOf", [schema]):
        kind = one.get("items", {}).get("type") if one.get("type") == "array" else one.get("type")
        if kind in ("integer", "boolean", "number"):
            yield name, kind, takes


PARAMETERS = list(_parameters())


@pytest.mark.parametrize(("name", "kind", "takes"), PARAMETERS, ids=[name for name, *_ in PARAMETERS])
def test_a_parameter_is_digits_or_true_or_false(name: str, kind: str, takes: Callable[[str], bool]) -> None:
    wrong: Sequence[str] = WRONG_FLAGS if kind == "boolean" else WRONG_NUMBERS

    assert takes("true" if kind == "boolean" else "1")
    assert [text for text in wrong if takes(text)] == (["1.0"] if kind == "number" else [])


def test_the_walk_finds_the_parameters() -> None:
    names = {name for name, *_ in PARAMETERS}

    assert len(PARAMETERS) >= 24
    assert "/api/v1/conversations/{conversation_id} conversation_id" in names
    assert "/api/v1/conversations ids" in names
    assert "/documents include_total" in names
