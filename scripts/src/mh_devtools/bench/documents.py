"""Documents that people write, with tables in them that programs write."""

import re
from collections.abc import Mapping
from pathlib import Path


def filled(document: str, tables: Mapping[str, str]) -> str:
    """Return the document with each table between its markers, `<!-- table: NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: it has no place for one of the tables.
    """
    left = dict(tables)

    def put(match: re.Match[str]) -> str:
        name = match[2]
        return f"{match[1]}\n{left.pop(name)}\n{match[3]}" if name in left else match[0]

    result = re.sub(r"(<!-- table: ([\w-]+) -->)\n.*?(<!-- end -->)", put, document, flags=re.DOTALL)
    if left:
        raise ValueError(f"The document has no place for: {', '.join(left)}")
    return result


def fill(path: Path, tables: Mapping[str, str]) -> None:
    """Write each table into the document at its place. Raises as `filled`."""
    path.write_text(filled(path.read_text(encoding="utf-8"), tables), encoding="utf-8")
