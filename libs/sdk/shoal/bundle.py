"""A folder as a tar.gz that is the same for the same files."""

import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

ALWAYS_SKIPPED = (".git", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".shoal")
IGNORE_FILE = ".shoalignore"
MAX_SIZE, MAX_UNPACKED = 100 * 2**20, 2 * 2**30
"""Bytes that a gateway takes, and that they may become."""


def make(folder: Path) -> bytes:
    """The folder's files as a tar.gz, but for what `.shoalignore` names.

    Names are sorted; times and owners are left out; a link to a file becomes the file. So equal
    content gives equal bytes. Raises OSError for a file that cannot be read, or too much of them:
    before one is read if their sizes say so, else as soon as too much is packed.
    """
    sizes = {path: path.stat().st_size for path in files(folder)}
    total = sum(sizes.values())
    if total > MAX_UNPACKED:
        raise _too_big(folder, sizes, f"{_mib(total)}, {_mib(MAX_UNPACKED)} may be")
    packed = _Bounded()
    try:
        with (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=packed, mtime=0) as out,
            tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in sizes:
                _add(tar, path, path.relative_to(folder).as_posix())
    except OverflowError as error:
        words = f"more than {_mib(MAX_SIZE)} packed"
        raise _too_big(folder, sizes, words) from error
    return packed.getvalue()


class _Bounded(io.BytesIO):
    """Holds no more than may be sent."""

    def write(self, data: "Buffer") -> int:
        """Raises OverflowError."""
        if self.tell() + memoryview(data).nbytes > MAX_SIZE:
            raise OverflowError
        return super().write(data)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    with path.open("rb") as file:
        member = tarfile.TarInfo(name)
        member.size = os.fstat(file.fileno()).st_size
        member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
        tar.addfile(member, file)


def largest(folder: Path, sizes: Mapping[Path, int]) -> str:
    """The largest files with their sizes, but for those that are a hundred times smaller."""
    few = sorted(sizes, key=lambda path: -sizes[path])[:3]
    few = [path for path in few if 100 * sizes[path] >= sizes[few[0]]]
    return ", ".join(f"{path.relative_to(folder)} ({_mib(sizes[path])})" for path in few)


def _too_big(folder: Path, sizes: Mapping[Path, int], how: str) -> OSError:
    return OSError(
        f"the folder {folder} is too big for a bundle ({how}); name what is not code in"
        f" {IGNORE_FILE}, such as {largest(folder, sizes)}"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def files(folder: Path) -> list[Path]:
    """The files that go into a bundle, in the order in which they do."""
    ignore = folder / IGNORE_FILE
    lines = ignore.read_text().splitlines() if ignore.exists() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return sorted(_walk(folder, folder, patterns), key=lambda p: p.relative_to(folder).as_posix())


def ignored(path: str, is_folder: bool, patterns: Sequence[str]) -> bool:
    """Whether a path (relative, with `/`) is left out. The last pattern that fits decides.

    As in a `.gitignore`: a pattern without `/` fits a name anywhere; one with `/` fits the whole
    path; one that ends with `/` fits folders only; `!` takes something in again.
    """
    out = False
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if wanted.endswith("/"):
            if not is_folder:
                continue
            wanted = wanted.rstrip("/")
        whole = "/" in wanted
        text = path if whole else path.rsplit("/", 1)[-1]
        if fnmatchcase(text, wanted.lstrip("/")):
            out = not pattern.startswith("!")
    return out


def _walk(root: Path, folder: Path, patterns: Sequence[str]) -> Iterator[Path]:
    for entry in os.scandir(folder):
        path = Path(entry.path)
        is_folder = entry.is_dir(follow_symlinks=False)
        relative = path.relative_to(root).as_posix()
        if entry.name in ALWAYS_SKIPPED or ignored(relative, is_folder, patterns):
            continue
        if is_folder:
            yield from _walk(root, path, patterns)
        elif entry.is_file():
            yield path
