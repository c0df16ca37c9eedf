"""Check digits that tell a number of a certain kind from any other number."""

import re
from typing import Final

_IBAN_LENGTHS: Final = (15, 34)
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUES: Final = {
    letter: int(value)
    for letter, value in zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", "123456781234579234567890123456789", strict=True)
}
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_NOT_ALPHANUMERIC: Final = re.compile(r"[^0-9A-Za-z]")


def compact(code: str) -> str:
    """Return the letters and digits of a code, in capitals."""
    return _NOT_ALPHANUMERIC.sub("", code).upper()


def is_luhn(digits: str) -> bool:
    """Return whether the digits have the check digit of cards, device numbers (IMEI) and others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card(code: str) -> bool:
    """Return whether it is the number of a payment card."""
    digits = compact(code)
    return digits.isdigit() and 13 <= len(digits) <= 19 and digits[0] in "23456" and is_luhn(digits)


def is_npi(code: str) -> bool:
    """Return whether it is a National Provider Identifier, which ends with a Luhn digit over a constant and itself."""
    digits = compact(code)
    return digits.isdigit() and len(digits) == 10 and digits[0] in "12" and is_luhn("80840" + digits)


def is_dea(code: str) -> bool:
    """Return whether it is a number of the Drug Enforcement Administration."""
    compacted = compact(code)
    if not re.fullmatch(r"[A-Z][A-Z9]\d{7}", compacted, re.ASCII):
        return False
    digits = [int(digit) for digit in compacted[2:]]
    return (digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5])) % 10 == digits[6]


def is_iban(code: str) -> bool:
    """Return whether it is an International Bank Account Number."""
    compacted = compact(code)
    if not _IBAN_LENGTHS[0] <= len(compacted) <= _IBAN_LENGTHS[1] or not compacted.isascii():
        return False
    turned = compacted[4:] + compacted[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def is_vin(code: str) -> bool:
    """Return whether it is a vehicle identification number with the check digit of North America."""
    if len(code) != 17 or any(character not in _VIN_VALUES for character in code.upper()):
        return False
    total = sum(_VIN_VALUES[character] * weight for character, weight in zip(code.upper(), _VIN_WEIGHTS, strict=True))
    return code[8].upper() == "0123456789X"[total % 11]


def is_spanish_id(code: str) -> bool:
    """Return whether it is a Spanish DNI or NIE, which end with a check letter."""
    compacted = compact(code)
    if not re.fullmatch(r"[XYZ]?\d{7,8}[A-Z]", compacted, re.ASCII) or len(compacted) != 9:
        return False
    digits = compacted[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return _DNI_LETTERS[int(digits) % 23] == compacted[-1]
