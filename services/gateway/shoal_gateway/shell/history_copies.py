"""Copies on this machine of files that are far away: so many bytes, those that nobody asked for
longest leave first.

Whoever reads a copy holds it; it stays until then, even if all that are held together are more than
there is room for. The folder is this process's own. One that a process left behind when it was
killed is removed by the next that begins one.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PREFIX = "shoal-metrics-"
_LOCK = "lock"


@dataclass(slots=True, eq=False)
class Copy:
    """One file, as it is here."""

    path: Path
    size: int = 0
    held: int = 0
    ready: bool = False


class Copies:
    """At most `most` bytes of copies, but for what is held. Its methods block; any thread may call
    them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn = threading.Condition()
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        """By name; whose was asked for last is last."""
        self._folder: Path | None = None
        self._lock: int | None = None

    def part(self) -> str:
        """A path for a file that is to become a copy, or to go away."""
        with self._turn:
            return os.fspath(self._own() / f"{time.monotonic_ns()}.part")

    @contextlib.contextmanager
    def held(self) -> Iterator[Callable[[str, Callable[[str], None]], str]]:
        """A function from names to paths, which stay until the end of the context. Its second
        argument fetches a file that is not here to the path it is given."""
        taken: list[Copy] = []

        def path(name: str, fetch: Callable[[str], None]) -> str:
            taken.append(self._take(name, fetch))
            return os.fspath(taken[-1].path)

        try:
            yield path
        finally:
            with self._turn:
                for copy in taken:
                    copy.held -= 1
                self._evict()

    def forget(self, names: Callable[[str], bool]) -> None:
        """Remove the copies whose names are meant."""
        with self._turn:
            for name in [n for n, copy in self._copies.items() if copy.ready and names(n)]:
                self._copies.pop(name).path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """What there are copies of."""
        with self._turn:
            return list(self._copies)

    def close(self) -> None:
        """Remove all of them."""
        with self._turn:
            folder, self._folder = self._folder, None
            lock, self._lock = self._lock, None
            self._copies.clear()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)

    def _take(self, name: str, fetch: Callable[[str], None]) -> Copy:
        """The copy of this name, held; fetched by one thread, while others wait for it."""
        with self._turn:
            while (copy := self._copies.get(name)) is not None and not copy.ready:
                self._turn.wait()
            if copy is not None:
                copy.held += 1
                self._copies.move_to_end(name)
                return copy
            copy = self._copies[name] = Copy(self._own() / name, held=1)
        part = self.part()
        try:
            fetch(part)
            copy.size = os.path.getsize(part)
            os.replace(part, copy.path)
        except BaseException:
            with self._turn:
                del self._copies[name]
                self._turn.notify_all()
            Path(part).unlink(missing_ok=True)
            raise
        with self._turn:
            copy.ready = True
            self._turn.notify_all()
            self._evict()
        return copy

    def _evict(self) -> None:
        size = sum(copy.size for copy in self._copies.values())
        for name, copy in list(self._copies.items()):
            if size <= self._most:
                return
            if copy.ready and not copy.held:
                del self._copies[name]
                copy.path.unlink(missing_ok=True)
                size -= copy.size

    def _own(self) -> Path:
        if self._folder is None:
            _remove_abandoned()
            # Named so that nobody takes it for abandoned before it is locked.
            made = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}"))
            self._lock = os.open(made / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._folder = made.rename(made.with_name(made.name.removeprefix("new-")))
        return self._folder


def _remove_abandoned() -> None:
    """Remove the folders of processes that ended without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # its process is at work
        finally:
            os.close(lock)
