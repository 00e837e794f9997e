"""Code bundles: tar and zip files in storage, named by their content."""

import asyncio
import gzip
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import fsspec

from shoal_contract.events import Bundle
from shoal_gateway.shell import storage
from shoal_gateway.shell.problems import ProblemError

KINDS = ("tar.gz", "tar", "zip")
"""How the names of bundles in storage end: workers go by that."""
MAX_MEMBERS = 100_000
MAX_HEADERS = 64 * 1024
"""Bytes that describe one member of a tar."""
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
            size = await storage.receive(body, file, self._max_size, _too_large)
            return await asyncio.to_thread(self._keep, file, size)

    async def find(self, sha256: str) -> Bundle | None:
        """The bundle with this content, if it was stored."""
        return await asyncio.to_thread(self._find, sha256)

    def _url(self, sha256: str, kind: str) -> str:
        return f"{self._folder}/{sha256}.{kind}"

    def _find(self, sha256: str) -> Bundle | None:
        for url in (self._url(sha256, kind) for kind in KINDS):
            fs, path = fsspec.core.url_to_fs(url)
            try:
                return Bundle(url=url, sha256=sha256, size=int(fs.size(path)))
            except FileNotFoundError:
                continue
        return None

    def _keep(self, file: IO[bytes], size: int) -> Bundle:
        sha256 = storage.sha256_of(file)
        if (found := self._find(sha256)) is not None and found.size == size:
            return found
        url = self._url(sha256, check(file))
        file.seek(0)
        storage.put(file, url)
        return Bundle(url=url, sha256=sha256, size=size)


def check(file: IO[bytes]) -> Literal["tar.gz", "tar", "zip"]:
    """What kind of archive a file is, once every member was looked at. Raises ProblemError (422)
    for one that could do harm."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    kind: Literal["tar.gz", "tar", "zip"] = "tar.gz" if start[:2] == b"\x1f\x8b" else "tar"
    if start in (b"PK\x03\x04", b"PK\x05\x06"):  # the latter: an empty one
        kind = "zip"
    members = unpacked = 0
    try:
        for member in _zipped(file) if kind == "zip" else _tarred(file, kind):
            members, unpacked = members + 1, unpacked + member.size
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or "\\" in member.name:
                raise _bad(f"its member {member.name!r} leads out of the folder")
            if not member.plain:
                raise _bad(f"its member {member.name!r} is neither a file nor a folder")
            if members > MAX_MEMBERS or unpacked > MAX_UNPACKED:
                raise _too_much()
    except _BROKEN as error:
        raise _bad(f"it cannot be read as a {kind} ({error})") from error
    return kind


_BROKEN = (
    tarfile.TarError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, EOFError, OSError,
    ValueError, IndexError, NotImplementedError,
)  # fmt: skip
"""What reading an archive that is none, or was cut short, ends with."""


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    """Bytes, unpacked."""
    plain: bool
    """Whether it is a file or a folder, and can be read without a password."""


class _Headers:
    """A tar as its headers are read: data is passed over, and what describes one member has a
    limit, since tarfile reads all of it at once (long names, pax records, maps of sparse files)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.left = file, MAX_HEADERS

    def read(self, size: int) -> bytes:
        """So many bytes, of those that are left for this member. Raises ProblemError."""
        self.left -= size
        if self.left < 0:
            raise _bad(f"what describes one of its members has more than {MAX_HEADERS} bytes")
        return self._file.read(size)

    def seek(self, place: int) -> int:
        """Go to a place within what a bundle may have. Raises ProblemError."""
        if place > MAX_UNPACKED:
            raise _too_much()
        return self._file.seek(place)

    def tell(self) -> int:
        """The place."""
        return self._file.tell()


def _tarred(file: IO[bytes], kind: str) -> Iterator[_Member]:
    plain: Any = gzip.GzipFile(fileobj=file) if kind == "tar.gz" else file
    headers: Any = _Headers(plain)
    with tarfile.open(fileobj=headers, mode="r:") as opened:
        tar: Any = opened
        while (member := tar.next()) is not None:
            yield _Member(member.name, member.size, member.isfile() or member.isdir())
            tar.members.clear()  # it would keep them all
            if sum(len(k) + len(v) for k, v in tar.pax_headers.items()) > MAX_HEADERS:
                raise _bad(f"what describes all its members has more than {MAX_HEADERS} bytes")
            headers.left = MAX_HEADERS


def _zipped(file: IO[bytes]) -> Iterator[_Member]:
    if _entries(file) > MAX_MEMBERS:  # all of them are read at once
        raise _too_much()
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            mode = stat.S_IFMT(member.external_attr >> 16)
            plain = mode in (0, stat.S_IFREG, stat.S_IFDIR) and not member.flag_bits & 1
            yield _Member(member.filename, member.file_size, plain)


def _entries(file: IO[bytes]) -> int:
    """At least as many as a zip's table of contents has: each begins with this."""
    mark, found, rest = b"PK\x01\x02", 0, b""
    while chunk := file.read(2**20):
        found += (rest + chunk).count(mark)
        rest = chunk[-3:]
    file.seek(0)
    return found


def _too_large(most: int) -> ProblemError:
    detail = f"A bundle may have {most / 2**20:g} MiB. List what is not code in .shoalignore."
    return ProblemError(413, detail, kind="urn:shoal:problem:bundle")


def _too_much() -> ProblemError:
    return _bad("it would unpack to too much")


def _bad(why: str) -> ProblemError:
    return ProblemError(422, f"The bundle is refused: {why}.", kind="urn:shoal:problem:bundle")
