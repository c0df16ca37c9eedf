"""Tokens: what a person or program sends to prove who it is.

A token has a prefix that says what it is, 37 random characters and a checksum, both in base 62, so that a program which
looks for leaked secrets recognises one, and a mistyped one is noticed without asking a database. 37 characters are
220 random bits: a stored SHA-256 hash cannot be searched for the token, so it needs neither salt nor a slow hash.
"""

import hashlib
import secrets
import string
import zlib
from enum import StrEnum
from typing import Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS: Final = 37
CHECKSUM_CHARACTERS: Final = 6
"""62⁶ is more than 2³², so that every CRC-32 fits."""
SHOWN_CHARACTERS: Final = 4


class TokenKind(StrEnum):
    """What a token is; its value is the prefix of such tokens."""

    API_KEY = "mh_key_"
    """Made by a person, for a program."""
    SERVICE_KEY = "mh_svc_"
    """For the platform's own services."""
    SESSION = "mh_ses_"
    """Of a person who has signed in."""
    SETUP = "mh_set_"
    """For making the first administrator, once."""


def make_token(kind: TokenKind) -> str:
    """Return a new random token of this kind."""
    body = kind.value + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return body + _checksum(body)


def kind_of(token: str) -> TokenKind | None:
    """Return what a token is; None if it is none of this platform's, or was not copied completely."""
    for kind in TokenKind:
        if token.startswith(kind.value):
            body, checksum = token[:-CHECKSUM_CHARACTERS], token[-CHECKSUM_CHARACTERS:]
            whole = len(body) == len(kind.value) + RANDOM_CHARACTERS
            return kind if whole and token.isascii() and checksum == _checksum(body) else None
    return None


def token_hash(token: str) -> bytes:
    """Return the SHA-256 hash of a token, which is stored in its place."""
    return hashlib.sha256(token.encode()).digest()


def shown_part(token: str) -> str:
    """Return the beginning of a token, by which its owner recognises it."""
    kind = kind_of(token)
    prefix = len(kind.value) if kind else 0
    return f"{token[: prefix + SHOWN_CHARACTERS]}…"


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


if __name__ == "__main__":
    print(make_token(TokenKind.SERVICE_KEY))
