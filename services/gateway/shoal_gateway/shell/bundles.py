"""Code bundles: tar.gz files in storage, named by their content."""

import asyncio
import gzip
import hashlib
import secrets
import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import IO

import fsspec

from shoal_contract.events import Bundle
from shoal_gateway.shell.problems import ProblemError

MAX_MEMBERS = 100_000
MAX_UNPACKED = 2 * 1024**3
"""Bytes that a bundle may have once it is unpacked."""


class Bundles:
    """Where bundles are kept."""

    def __init__(self, storage_url: str, max_size: int) -> None:
        self._folder = f"{storage_url.rstrip('/')}/bundles"
        self._max_size = max_size

    async def store(self, body: AsyncIterator[bytes]) -> Bundle:
        """Keep a bundle; one that is there already is left alone.

        Raises ProblemError if it is too big (413) or nothing that a worker would unpack (422).
        """
        with tempfile.TemporaryFile() as file:
            digest, size = hashlib.sha256(), 0
            async for chunk in body:
                size += len(chunk)
                if size > self._max_size:
                    limit = f"{self._max_size / 2**20:.0f} MiB"
                    detail = f"A bundle may have {limit}. List what is not code in .shoalignore."
                    raise ProblemError(413, detail, kind="urn:shoal:problem:bundle")
                digest.update(chunk)
                file.write(chunk)
            return await asyncio.to_thread(self._keep, file, digest.hexdigest(), size)

    async def find(self, sha256: str) -> Bundle | None:
        """The bundle with this content, if it was stored."""
        return await asyncio.to_thread(self._find, sha256)

    def _url(self, sha256: str) -> str:
        return f"{self._folder}/{sha256}.tar.gz"

    def _find(self, sha256: str) -> Bundle | None:
        fs, path = fsspec.core.url_to_fs(self._url(sha256))
        try:
            size = int(fs.size(path))
        except FileNotFoundError:
            return None
        return Bundle(url=self._url(sha256), sha256=sha256, size=size)

    def _keep(self, file: IO[bytes], sha256: str, size: int) -> Bundle:
        if (found := self._find(sha256)) is not None and found.size == size:
            return found
        file.seek(0)
        check(file)
        file.seek(0)
        fs, path = fsspec.core.url_to_fs(self._url(sha256))
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        draft = f"{path}.{secrets.token_hex(4)}"
        with fs.open(draft, "wb") as target:
            while chunk := file.read(2**20):
                target.write(chunk)
        fs.mv(draft, path)
        return Bundle(url=self._url(sha256), sha256=sha256, size=size)


def check(file: IO[bytes]) -> None:
    """Look at every member. Raises ProblemError (422) for one that could do harm."""
    members = unpacked = 0
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as tar:
            for member in tar:
                members, unpacked = members + 1, unpacked + member.size
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or "\\" in member.name:
                    raise _bad(f"its member {member.name!r} leads out of the folder")
                if not (member.isfile() or member.isdir()):
                    raise _bad(f"its member {member.name!r} is neither a file nor a folder")
                if members > MAX_MEMBERS or unpacked > MAX_UNPACKED:
                    raise _bad("it would unpack to too much")
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, OSError, ValueError) as error:
        raise _bad(f"it cannot be read as a tar.gz ({error})") from error


def _bad(why: str) -> ProblemError:
    return ProblemError(422, f"The bundle is refused: {why}.", kind="urn:shoal:problem:bundle")
