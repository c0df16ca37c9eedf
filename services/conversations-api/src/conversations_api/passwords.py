"""Hashes of passwords."""

import asyncio
from functools import cache
from typing import Final

from pwdlib import PasswordHash

_NOBODYS: Final = "the password of no account"


async def hash_password(password: str) -> str:
    """Return the Argon2 hash of a password, with its salt and parameters. It takes about 50 ms, in a thread."""
    return await asyncio.to_thread(_hasher().hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether this is the password. Without a hash it takes as long, and is wrong: no account has it."""
    return await asyncio.to_thread(_verify, password, password_hash)


def _verify(password: str, password_hash: str | None) -> bool:
    is_right = _hasher().verify(password, password_hash or _nobodys_hash())
    return is_right and password_hash is not None


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(_NOBODYS)
