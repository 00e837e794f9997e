"""Passwords, by argon2id with its library's parameters (RFC 9106's second choice)."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_AT_ONCE = asyncio.Semaphore(2)
"""Each takes 64 MiB for a while."""
_HASHER = PasswordHasher()
_NOBODYS = _HASHER.hash("nobody's")


async def hashed(password: str) -> str:
    """What is kept of a password."""
    async with _AT_ONCE:
        return await asyncio.to_thread(_HASHER.hash, password)


async def matches(kept: str | None, password: str) -> bool:
    """Whether a password is the one that was kept; as slow where there is none."""
    async with _AT_ONCE:
        right = await asyncio.to_thread(_verify, kept or _NOBODYS, password)
    return right and kept is not None


def _verify(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
