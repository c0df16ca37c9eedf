"""Types of path and query parameters, which are text that stands for a value.

Pydantic alone would read "1_0", "+1", " 1 ", "1.0" and the digits of any script as numbers, and "off" as a boolean. So
would a command line.
"""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator

_DIGITS: Final = re.compile("[0-9]{1,19}")
_DECIMAL: Final = re.compile(r"[0-9]{1,19}(?:\.[0-9]{1,19})?")
_FLAGS: Final = {"true": True, "false": False}


def whole_number(text: str) -> int:
    """Return the number that a text of digits stands for. Raises ValueError for every other text."""
    if not _DIGITS.fullmatch(text):
        raise ValueError("must be a whole number of the digits 0 to 9, without sign, spaces or separators")
    return int(text)


def decimal(text: str) -> float:
    """Return the number that digits, with a point among them or without, stand for. Raises ValueError."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("must be a number of the digits 0 to 9, such as 0.5")
    return float(text)


def _whole_number(value: object) -> object:
    return whole_number(value) if isinstance(value, str) else value


def _decimal(value: object) -> object:
    return decimal(value) if isinstance(value, str) else value


def _flag(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in _FLAGS:
        raise ValueError("must be true or false")
    return _FLAGS[value]


NumberParameter = Annotated[int, BeforeValidator(_whole_number)]
"""A key or a number, from 0."""

DecimalParameter = Annotated[float, BeforeValidator(_decimal)]
"""A number with or without decimals, from 0."""

FlagParameter = Annotated[bool, BeforeValidator(_flag)]
"""`true` or `false`."""
