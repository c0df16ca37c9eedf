"""What `mh import` says about the file: its kind, its columns, and what it is not sure of."""

from typing import Final

from mh_common.formats import Facts, Format, encoding_name

_KINDS: Final = {Format.CSV: "CSV", Format.JSON: "JSON", Format.PARQUET: "Parquet", Format.XLSX: "an Excel workbook"}
_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
_MAX_IGNORED: Final = 10


class FactsShown:
    """Gives what is known about a file as lines, each of them once."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def lines(self, facts: Facts, *, is_end: bool = False) -> list[str]:
        """Return what was not given before. The columns come first, and again at the end if a JSON file has more."""
        lines = facts.notes if self._shown and not is_end else [self._layout(facts), *facts.notes]
        new = [line for line in lines if line not in self._shown]
        self._shown.update(new)
        return new

    def _layout(self, facts: Facts) -> str:
        how = [_KINDS[facts.format]]
        if facts.delimiter and facts.delimiter != ",":
            how.append(f"with {_DELIMITERS.get(facts.delimiter, facts.delimiter)} between the cells")
        if facts.encoding:
            how.append(f"in {encoding_name(facts.encoding)}")
        if facts.sheet:
            how.append(f"sheet {facts.sheet}")
        columns = ", ".join(
            field if field == column.lower() else f"{field} from {column}" for field, column in facts.columns.items()
        )
        told = f"{', '.join(how)}. Columns: {columns}."
        if facts.ignored:
            more = len(facts.ignored) - _MAX_IGNORED
            told += f" Not read: {', '.join(facts.ignored[:_MAX_IGNORED])}{f' and {more:,} more' if more > 0 else ''}."
        return told
