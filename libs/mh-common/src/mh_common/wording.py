"""How counts are worded, in one place: "1 row", "2,000 rows"."""


def counted(number: int, what: str, many: str | None = None) -> str:
    """Return the number with the noun in its form for it; `many` is its plural where that is no `s` at the end."""
    return f"{number:,} {what if number == 1 else many or f'{what}s'}"
