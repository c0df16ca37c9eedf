"""Blanks around the quotes of a CSV cell, which would make the quotes a part of the text."""

import re


class BlankStripper:
    """Takes blanks, and characters without a width, away before an opening and after a closing quote."""

    def __init__(self, delimiter: str) -> None:
        mark = re.escape(delimiter)
        blanks = r"[^\S\r\n\t]" if delimiter == "\t" else r"[^\S\r\n]"
        blanks = rf"(?:{blanks}|[\u200b\ufeff])+"
        self._delimiter = delimiter
        self._before = re.compile(rf"{blanks}(?=\")")
        self._after = re.compile(rf"{blanks}(?={mark}|[\r\n]|$)")
        # Both begin with one character, so that the search for them is fast.
        self._some_before = re.compile(rf"{mark}{blanks}\"")
        self._some_after = re.compile(rf"\"{blanks}(?:{mark}|[\r\n]|$)")

    def strip(self, line: str, *, is_in_quotes: bool) -> str:
        """Return a line without them; `is_in_quotes` says that it begins inside a quoted cell."""
        if not (self._before.match(line) or self._some_before.search(line) or self._some_after.search(line)):
            return line
        pieces = []
        at = 0
        while at < len(line):
            text_at = at
            if not is_in_quotes:
                before = self._before.match(line, at)
                at = before.end() if before else at
                text_at = at + 1
                is_in_quotes = line[at] == '"'
            if is_in_quotes:
                end = end_of_quoted(line, text_at)
                pieces.append(line[at:end])
                after = self._after.match(line, end)
                at = after.end() if after else end
                is_in_quotes = False
            end = line.find(self._delimiter, at) + 1 or len(line)
            pieces.append(line[at:end])
            at = end
        return "".join(pieces)


def end_of_quoted(line: str, at: int) -> int:
    """Return where a quoted cell ends whose text begins at `at`: after the closing quote, or at the end of the line."""
    while (quote := line.find('"', at)) >= 0:
        if line[quote + 1 : quote + 2] != '"':
            return quote + 1
        at = quote + 2
    return len(line)
