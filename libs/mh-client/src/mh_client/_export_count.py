"""Counts the conversations of an export while it is written."""

from mh_client.resources.conversations import ExportFormat


class RowCount:
    """The number of rows in the pieces of a CSV or JSON Lines file, cut anywhere."""

    def __init__(self, form: ExportFormat) -> None:
        self._is_csv = form == "csv"
        self._is_quoted = False
        self._lines = 0

    @property
    def rows(self) -> int:
        """The rows so far; the header of a CSV file is none."""
        return max(self._lines - self._is_csv, 0)

    def take(self, piece: bytes) -> None:
        """Count a piece. Line breaks between quotes belong to a text."""
        for place, part in enumerate(piece.split(b'"') if self._is_csv else [piece]):
            self._is_quoted ^= place > 0
            if not self._is_quoted:
                self._lines += part.count(b"\n")
