"""Terminal output: a progress bar on terminals, plain lines elsewhere, and text without control characters."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from unicodedata import category

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

SECONDS_BETWEEN_LINES: Final = 2.0

Show = Callable[[float, float, str], None]
"""Called with the amount done, the total, and a text."""


@contextmanager
def progress_reporter(title: str) -> Iterator[Show]:
    """Yield a function that shows progress on standard error."""
    console = Console(stderr=True)
    with _bar(title, console) if console.is_terminal else _lines(title) as show:
        yield show


@contextmanager
def _bar(title: str, console: Console) -> Iterator[Show]:
    # The column is a format string, and file names may contain braces.
    name = TextColumn(printable(title).replace("{", "{{").replace("}", "}}"), markup=False)
    columns = (name, BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total, text: progress.update(task, completed=done, total=total, description=text)


@contextmanager
def _lines(title: str) -> Iterator[Show]:
    shown = ""
    last = ""
    due = 0.0

    def show(done: float, total: float, text: str) -> None:
        nonlocal shown, last, due
        last = f"{title}: {text}"
        if time.monotonic() >= due and last != shown:
            print_error(last)
            shown = last
            due = time.monotonic() + SECONDS_BETWEEN_LINES

    try:
        yield show
    finally:
        if last != shown:
            print_error(last)


def print_notice(text: str, *, stderr: bool = False) -> None:
    """Print what must be seen first, and a blank line: in a frame on a terminal, as it is elsewhere. Empty: nothing."""
    if not text:
        return
    console = Console(stderr=stderr)
    if console.is_terminal:
        console.print(Panel(Text(printable(text)), border_style="bold red"))
    else:
        print(printable(text), file=console.file)
    print(file=console.file, flush=True)


def print_error(line: str) -> None:
    """Print one line to standard error."""
    print(printable(line), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Return the text without control characters, except tab and line feed."""
    return "".join(mark for mark in text if mark in "\n\t" or category(mark) != "Cc")


def truncate(text: str, length: int) -> str:
    """Return the text on one line, truncated to this many characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= length else line[: length - 1] + "…"
