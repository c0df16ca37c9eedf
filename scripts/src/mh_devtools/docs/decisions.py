"""Writes docs/adr/README.md, the index of the decision records: `python -m mh_devtools.docs.decisions`.

With --check, it only fails if the file is out of date or a record has the wrong form.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mh_devtools.paths import ROOT

FOLDER: Final = ROOT / "docs" / "adr"
INDEX: Final = FOLDER / "README.md"

INTRODUCTION: Final = """# Decisions

One record for each decision that another engineer would question: what was decided, why, and what it costs. A record
is not rewritten when a decision changes: a new one supersedes it.

To add one, take the next free number and begin a file `NNNN-….md` like this:

```
# NN. The decision as a title

**Status.** Accepted.

**Decision.** ...
```

Then **Why**, alternatives, consequences, and **Code**: where it is implemented and tested. A record that is superseded
gets the status `Superseded by [NN](NNNN-….md).` Then `.venv/bin/python -m mh_devtools.docs.decisions` writes this page.

| number | decision | status |
|---|---|---|
"""

_FORM: Final = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    r"\*\*Status\.\*\* (?P<status>Accepted|Superseded by \[(?P<by>\d+)\]\((?P<file>[\w-]+\.md)\))\.\n\n"
)


def index(folder: Path = FOLDER) -> Iterator[str]:
    """Yield the lines of the index. Raises ValueError, which says what to change, for a record in the wrong form."""
    yield INTRODUCTION
    taken: dict[int, Path] = {}
    for file in sorted(folder.glob("[0-9]*.md")):
        form = _FORM.match(file.read_text(encoding="utf-8"))
        if form is None:
            raise ValueError(
                f"{file.name} must begin with '# NN. Title', an empty line, and '**Status.** Accepted.' or "
                "'**Status.** Superseded by [NN](file.md).', and another empty line."
            )
        number = int(form["number"])
        if number != int(file.name[:4]):
            raise ValueError(f"{file.name} has the number {number} in its title: correct one of the two.")
        if number in taken:
            raise ValueError(f"{file.name} and {taken[number].name} have the same number: take the next free one.")
        taken[number] = file
        if form["by"] and not form["file"].startswith(f"{int(form['by']):04}-"):
            raise ValueError(f"{file.name} is superseded by {form['by']}, but the link points to {form['file']}.")
        yield f"| {number} | [{form['title']}]({file.name}) | {form['status']} |\n"


def main() -> None:
    """Write the index, or check it."""
    try:
        text = "".join(index())
    except ValueError as error:
        sys.exit(f"docs/adr/{error}")
    if "--check" not in sys.argv[1:]:
        INDEX.write_text(text, encoding="utf-8")
    elif not INDEX.exists() or INDEX.read_text(encoding="utf-8") != text:
        sys.exit("docs/adr/README.md is out of date: run `python -m mh_devtools.docs.decisions` and commit it.")


if __name__ == "__main__":
    main()
