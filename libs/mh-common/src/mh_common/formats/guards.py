"""Guards against formulas in CSV files.

A spreadsheet runs a cell that begins with =, +, - or @, though it stands in quotes, and what it runs can call programs
and send data elsewhere (OWASP: CSV injection). Some look for these characters after blanks, too, or in their wide
forms. An apostrophe before such a text makes it a text. One before a text that would read as guarded already keeps the
two apart, so that taking the guard off gives back what was written, whatever it was.

Not covered: a spreadsheet that is set to another delimiter than the file's may cut a cell in two.
"""

import re
from typing import Final

GUARD: Final = "'"
# Blanks of every kind, controls, and characters without a width.
_SKIPPED: Final = r"\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
_STARTS: Final = r"=+\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
_RUN: Final = re.compile(rf"{GUARD}*(?:[\x00\t\n\r]|[{_SKIPPED}]*[{_STARTS}])")


def guard(text: str) -> str:
    """Return the text as it may stand in a cell: with an apostrophe first where a spreadsheet might run it."""
    return GUARD + text if _RUN.match(text) else text


def unguard(cell: str) -> str:
    """Return what `guard` was given."""
    return cell[1:] if cell.startswith(GUARD) and _RUN.match(cell, 1) else cell
