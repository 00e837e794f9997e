"""Files that are sent to the gateway, on their way into storage."""

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from typing import IO

import fsspec

from shoal_gateway.shell.problems import ProblemError

PIECE = 2**20


async def receive(
    body: AsyncIterator[bytes], file: IO[bytes], most: int, problem: Callable[[int], ProblemError]
) -> int:
    """Write a body to a file; returns how many bytes it has. Raises `problem` for one of more than
    `most`."""
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > most:
            raise problem(most)
        file.write(chunk)
    file.seek(0)
    return size


def sha256_of(file: IO[bytes]) -> str:
    """The SHA-256 of a file, which is at its beginning again then."""
    digest = hashlib.sha256()
    while chunk := file.read(PIECE):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def put(file: IO[bytes], url: str) -> None:
    """Store a file: it is there whole, or not at all."""
    fs, path = fsspec.core.url_to_fs(url)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    draft = f"{path}.{secrets.token_hex(4)}"
    with fs.open(draft, "wb") as target:
        while chunk := file.read(PIECE):
            target.write(chunk)
    fs.mv(draft, path)
