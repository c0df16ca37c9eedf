"""Numbers on the command line: digits and nothing else, wherever a number is taken."""

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
import typer
from mh_client._commands import app
from mh_devtools.testing.fixtures import RunCommand

WRONG = ("1_0", "+1", " 1", "1 ", "1.5", "1e1", "0x1", "\u0661", "\uff11", "")


def numbers(app: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Yield each option and argument of a command that is a number: its name, and how Typer reads it."""
    for command in app.registered_commands:
        assert command.callback is not None
        for name, parameter in inspect.signature(command.callback).parameters.items():
            if get_origin(parameter.annotation) is Annotated:
                kind, option = get_args(parameter.annotation)
                if {int, float} & {
                    kind,
                    *get_args(kind),
                    *(inner for one in get_args(kind) for inner in get_args(one)),
                }:
                    yield name, option
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from numbers(group.typer_instance)


def test_every_number_of_every_command_is_read_by_one_reader() -> None:
    found = list(numbers(app))
    assert {"limit", "ids", "batch_size", "top_k", "ks", "compare", "tolerance", "experiment_id"} <= {
        name for name, _ in found
    }
    assert [name for name, option in found if option.parser is None or option.min is not None] == []


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("args", [("search", "x", "--limit"), ("get",), ("delete", "7"), ("export", "--id")])
def test_what_is_no_number_is_refused(mh: RunCommand, args: tuple[str, ...], wrong: str) -> None:
    code, output, errors = mh(*args, wrong)
    assert (code, output) == (2, "")
    assert "must be a whole number of the digits 0 to 9" in " ".join(errors.split())


def test_decimals_and_bounds(mh: RunCommand) -> None:
    for wrong in ("0_5", ".5", "5e-1", "nan", "inf"):
        code, _, errors = mh("search", "x", "--similarity-threshold", wrong)
        assert (code, "must be a number of the digits 0 to 9, such as 0.5" in " ".join(errors.split())) == (2, True)
    code, _, errors = mh("get", "0")
    assert (code, "must be at least 1" in errors) == (2, True)
    code, _, errors = mh("eval", "absent.jsonl", "--concurrency", "65")
    assert (code, "must be 1 to 64" in errors) == (2, True)
