"""The files of an experiment's points: which hold what, and which are to be merged.

A file's name says what it covers: `<first>-<last>.parquet` holds all points of one experiment and
one stream whose sequences are greater than `first` and at most `last`. What a file holds follows
from its name and the stream, so a file that was written twice, or merged while its parts are still
there, changes nothing: of what overlaps, one is read.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAME = re.compile(r"(\d{20})-(\d{20})\.parquet")
MERGED = 8
"""So many files of about one size are merged into one."""
LARGEST = 64 * 2**20
"""Bytes of a file from which on it is left as it is."""


@dataclass(frozen=True, slots=True, order=True)
class File:
    """A file of points."""

    first: int
    last: int
    size: int = 0
    """Bytes."""

    @property
    def name(self) -> str:
        """The name in its folder."""
        return f"{self.first:020}-{self.last:020}.parquet"


def parse(name: str, size: int) -> File | None:
    """The file of this name; None if it is none of ours."""
    found = _NAME.fullmatch(name)
    return File(int(found[1]), int(found[2]), size) if found else None


def cover(files: Iterable[File]) -> list[tuple[File, int]]:
    """The files to be read, in order, and after which sequence each of them."""
    found: list[tuple[File, int]] = []
    at = 0
    for file in sorted(files, key=lambda f: (f.first, -f.last)):
        if file.last > at:
            found.append((file, max(at, file.first)))
            at = file.last
    return found


def end(files: Iterable[File]) -> int:
    """The sequence up to which an experiment's points are in its files."""
    return max((f.last for f in files), default=0)


def spare(files: Iterable[File]) -> list[File]:
    """Those that others cover."""
    files = list(files)
    needed = {file for file, _ in cover(files)}
    return [f for f in files if f not in needed]


def to_merge(files: Iterable[File]) -> list[File]:
    """Neighbours that are to become one file; empty if there is nothing to do.

    A file is merged with those of its size class, so each point is written a few times at most:
    https://github.com/facebook/rocksdb/wiki/Universal-Compaction
    """
    run: list[File] = []
    for file, _ in cover(files):
        if run and (_class(file) != _class(run[-1]) or file.size >= LARGEST):
            run = []
        if file.size < LARGEST:
            run.append(file)
        if len(run) == MERGED:
            return run
    return []


def _class(file: File) -> int:
    """Sizes of one class are within a factor of eight."""
    return file.size.bit_length() // 3
