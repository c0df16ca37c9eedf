"""Updates generated tables in documents."""

import re
from collections.abc import Mapping
from pathlib import Path


def filled(document: str, tables: Mapping[str, str]) -> str:
    """Return the document with each table inserted between its markers, `<!-- table: NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: the document has no markers for one of the tables.
    """
    remaining = dict(tables)

    def put(match: re.Match[str]) -> str:
        name = match[2]
        return f"{match[1]}\n{remaining.pop(name)}\n{match[3]}" if name in remaining else match[0]

    result = re.sub(r"(<!-- table: ([\w-]+) -->)\n.*?(<!-- end -->)", put, document, flags=re.DOTALL)
    if remaining:
        raise ValueError(f"The document has no markers for: {', '.join(remaining)}")
    return result


def fill(path: Path, tables: Mapping[str, str]) -> None:
    """Insert the tables into the document. Raises the errors of `filled`."""
    path.write_text(filled(path.read_text(encoding="utf-8"), tables), encoding="utf-8")
