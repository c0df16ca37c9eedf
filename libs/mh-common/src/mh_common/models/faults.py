"""Pydantic's errors as problems of fields, without any input."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from mh_common.models.conversations import SET_BY
from mh_common.models.problems import FieldProblem

MAX_LISTED: Final = 100
"""Most errors that one answer lists."""

_MESSAGES: Final = {
    "bool_type": "must be true or false, without quotes",
    "dict_type": "must be a JSON object",
    "extra_forbidden": "is unknown; remove or correct it",
    "float_type": "must be a number, without quotes",
    "int_type": "must be a whole number, without quotes or decimal point",
    "list_type": "must be a list",
    "missing": "is required",
    "model_attributes_type": "must be a JSON object, sent with Content-Type: application/json",
    "model_type": "must be a JSON object",
    "string_type": "must be a string, in quotes",
}
"""Clearer messages for some of pydantic's error types."""


def field_problems(faults: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Convert pydantic's errors, of which the paths begin with the field: the first `MAX_LISTED` of them.

    If there are more, a last entry says how many.
    """
    listed = [
        FieldProblem(
            field=".".join(map(str, fault["loc"])),
            message=_message(fault),
            # The rows of a bulk request are in `items`.
            row=fault["loc"][1] if fault["loc"][:1] == ("items",) and len(fault["loc"]) > 1 else None,
        )
        for fault in islice(faults, MAX_LISTED)
    ]
    more = len(faults) - len(listed)
    if more:
        last = FieldProblem(field="", message=f"and {more + 1:,} more errors; correct these first")
        return [*listed[:-1], last]
    return listed


def _message(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden" and (known := SET_BY.get(str(fault["loc"][-1]))):
        return known
    return _MESSAGES.get(fault["type"], str(fault["msg"]).removeprefix("Value error, "))
