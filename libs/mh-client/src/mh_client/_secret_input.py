"""Passwords and keys, asked for on a terminal without showing them, or read from standard input.

They are no arguments of commands: other users of a machine can see those, and shells keep them.
"""

import sys

import typer
from mh_common.models import FieldProblem
from mh_common.wording import counted

from mh_client._errors import InvalidInputError


def ask_secret(what: str, *, is_new: bool = False) -> str:
    """Ask for a secret without showing it, twice for a new one. Raises InvalidInputError without a terminal."""
    _need_terminal(what)
    given: str = typer.prompt(_label(what), hide_input=True, confirmation_prompt=is_new, err=True)
    return given


def ask_text(what: str) -> str:
    """Ask for a line of text. Raises InvalidInputError without a terminal."""
    _need_terminal(what)
    given: str = typer.prompt(_label(what), err=True)
    return given


def read_secrets(what: str, count: int = 1) -> list[str]:
    """Return the lines of standard input. Raises InvalidInputError unless there are that many, none of them empty."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise _refused(what, "must be UTF-8 text on standard input") from None
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if len(lines) != count or not all(lines):
        raise _refused(what, f"must be {counted(count, 'line')} on standard input")
    return lines


def secret(what: str, *, from_stdin: bool, is_new: bool = False) -> str:
    """Return a secret from standard input, or as `ask_secret` does. Raises InvalidInputError."""
    return read_secrets(what)[0] if from_stdin else ask_secret(what, is_new=is_new)


def is_terminal() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin.isatty()


def _label(what: str) -> str:
    return what[:1].upper() + what[1:]


def _need_terminal(what: str) -> None:
    if not is_terminal():
        raise _refused(what, "cannot be asked for: standard input is not a terminal. --help shows how else to give it")


def _refused(what: str, message: str) -> InvalidInputError:
    return InvalidInputError([FieldProblem(field=what, message=message)])
