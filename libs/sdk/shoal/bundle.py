"""A folder as a tar.gz that is the same for the same files."""

import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

ALWAYS_SKIPPED = (".git", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".shoal")
IGNORE_FILE = ".shoalignore"
MAX_SIZE = 100 * 1024 * 1024
"""Bytes that a gateway takes."""


def make(folder: Path) -> bytes:
    """The folder's files as a tar.gz, but for what `.shoalignore` names.

    Names are sorted; times and owners are left out; a link to a file becomes the file. So equal
    content gives equal bytes. Raises OSError for a file that cannot be read, or too much of them.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in files(folder):
            data = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = len(data)
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            tar.addfile(member, io.BytesIO(data))
            if plain.tell() > 20 * MAX_SIZE:
                break
    packed = gzip.compress(plain.getbuffer(), compresslevel=6, mtime=0)
    if len(packed) > MAX_SIZE or plain.tell() > 20 * MAX_SIZE:
        raise OSError(
            f"the folder {folder} is too big for a bundle ({len(packed) / 2**20:.0f} MiB packed,"
            f" {MAX_SIZE / 2**20:.0f} MiB may be); name what is not code in {IGNORE_FILE}"
        )
    return packed


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
