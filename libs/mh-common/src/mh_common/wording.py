"""How counts and lists of names are worded, in one place: "1 row", "2,000 rows", "a, b and c"."""

from collections.abc import Sequence


def counted(number: int, what: str, many: str | None = None) -> str:
    """Return the number with the noun in its form for it; `many` is its plural where that is no `s` at the end."""
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"


def join_names(names: Sequence[str], last: str) -> str:
    """Join the names: "a, b and c" with " and "."""
    return last.join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
