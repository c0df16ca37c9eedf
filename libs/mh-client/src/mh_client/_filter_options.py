"""Options of commands, one for each filter or each optional field of a conversation in `mh_common.fields`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from mh_common.fields import (
    FIELDS,
    FILTERS,
    Filter,
    FoundAdvice,
    Kind,
    Operator,
    Origin,
    ReviewState,
    RiskLevel,
    Sentiment,
)
from mh_common.models import EDITABLE_DETAILS

from mh_client._cli_common import Day, Time
from mh_client._typed_options import with_options

_REPEATED = "repeatable."
_SEVERAL_CHOICES: Mapping[type, Any] = {
    Sentiment: list[Sentiment] | None,
    RiskLevel: list[RiskLevel] | None,
    FoundAdvice: list[FoundAdvice] | None,
    Origin: list[Origin] | None,
    ReviewState: list[ReviewState] | None,
}


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each filter to a command, which receives those given as its `**filters`."""
    return with_options(command, {name: _option(one) for name, one in FILTERS.items()})


def with_details(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each detail that can be written to a command, which receives those given as its `**details`."""
    options = {}
    for field in FIELDS:
        if field.name in EDITABLE_DETAILS:
            is_day = field.kind is Kind.DATE
            kind: Any = Day if is_day else Annotated[str | None, typer.Option(help=f"The conversation's {field.name}.")]
            options[field.name] = kind
    return with_options(command, options)


def _option(one: Filter) -> Any:
    match one.operator:
        case Operator.GTE | Operator.LT:
            return Day if one.field.kind is Kind.DATE else Time
        case Operator.IS_EMPTY:
            return Annotated[
                bool | None, typer.Option(help=f"Only conversations without {one.field.name}, or only those with it.")
            ]
        case Operator.ANY_OF:
            return _several(one)


def _several(one: Filter) -> Any:
    match one.field.kind:
        case Kind.ID:
            return Annotated[list[int] | None, typer.Option("--id", help="Only these conversations; repeatable.")]
        case Kind.CHOICE:
            several: Any = _SEVERAL_CHOICES[type(one.field.choices[0])]
            return Annotated[several, typer.Option(help=f"{one.description[:-1]}; {_REPEATED}")]
        case _:
            return Annotated[list[str] | None, typer.Option(help=f"{one.description[:-1]}; {_REPEATED}")]
