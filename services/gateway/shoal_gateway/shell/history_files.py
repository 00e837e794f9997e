"""Files of metric points: `metrics/<stream>/<folder>/<experiment>/<first>-<last>.parquet`.

Beside them, `metrics/<stream>.json` says which folder is the stream's, and up to which sequence the
points of all experiments are in files: there a Redis that lost everything is filled from.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec

from shoal_contract.subjects import Stream
from shoal_gateway.core.history.files import File, end, parse
from shoal_gateway.shell.history_copies import Copies

log = logging.getLogger(__name__)

FRESH = 5.0
"""Seconds for which the list of an experiment's files is taken for true."""
CACHED = 2 * 2**30
"""Bytes of files from far storage that are kept on this machine."""
ABANDONED = 3600.0
"""Seconds after which nobody writes a file any more."""
Pointer = Mapping[str, Any]
"""`folder`, and `filed`: the sequence up to which all points are in it."""


@contextlib.contextmanager
def _reached() -> Iterator[None]:
    """Whatever a far file system raises is an OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"the storage does not answer: {error!r}") from error


class Files:
    """The files of all experiments. Its methods block, so call them in a thread, and raise OSError
    when storage does not answer."""

    def __init__(self, storage_url: str, *, anew: bool = False, cached: int = CACHED) -> None:
        """`anew`: write all files again, in a folder that nobody reads before `switch`; `cached`:
        bytes of files from far storage that are kept on this machine."""
        self._fs: Any
        self._fs, self._root = fsspec.core.url_to_fs(f"{storage_url.rstrip('/')}/metrics")
        self._near = "file" in self._fs.protocol
        self._anew = anew
        self._unread: dict[str, Pointer] = {}
        self._folders: dict[str, str] = {}
        self._listed: dict[tuple[str, str], tuple[float, list[File]]] = {}
        self._copies = Copies(cached)

    def close(self) -> None:
        """Remove the copies on this machine."""
        self._copies.close()

    @_reached()
    def follow(self, stream: Stream, told: Pointer | None) -> None:
        """Let the files be read that go with the read models that are read: whoever wrote these and
        those anew died before it said so here."""
        pointer = self._pointer(stream)
        if told is not None and _number(told) > _number(pointer):
            self._point(stream, told)

    @_reached()
    def begin(self, stream: Stream, born: str, last: int) -> int:
        """Find the folder of a stream that was made at `born` and whose last sequence is `last`.

        Returns the sequence up to which all points are in it. Files of a stream that was lost, as a
        whole or at its end, are left where they are and not read.
        """
        pointer = self._pointer(stream)
        folder, filed = str(pointer.get("folder", "")), int(pointer.get("filed", 0))
        made, _, number = folder.partition("-")
        fresh = self._anew and stream.name not in self._unread
        if made != born or filed > last or fresh:
            if folder and not fresh:
                log.warning("%s is not the stream of its files in %s", stream.name, folder)
            folder, filed = f"{born}-{int(number or 0) + 1}", 0
            if fresh:  # what an earlier attempt left
                self._remove(f"{self._root}/{stream.name}/{folder}")
            self._point(stream, {"folder": folder, "filed": filed})
        if self._folders.get(stream.name) != folder:
            self._folders[stream.name] = folder
            self._listed.clear()
        return filed

    @_reached()
    def folder(self, stream: Stream) -> str:
        """The folder of a stream. Raises OSError while it is another than was found by `begin`."""
        folder = self._folders.get(stream.name)
        if folder is None or folder != self._pointer(stream).get("folder"):
            raise OSError(f"the files of {stream.name} are in another folder by now")
        return folder

    def known(self, stream: Stream) -> str:
        """The folder that `begin` found last; empty before."""
        return self._folders.get(stream.name, "")

    @_reached()
    def filed(self, stream: Stream, sequence: int) -> None:
        """Note that all points up to a sequence are in files. Raises OSError if the folder is
        another one by now."""
        folder = self.folder(stream)
        if int(self._pointer(stream).get("filed", 0)) < sequence:
            self._point(stream, {"folder": folder, "filed": sequence})

    @_reached()
    def of(self, stream: Stream, experiment_id: str, at_least: int | None = None) -> list[File]:
        """The files of an experiment, as they are now; or as they were lately, if they reached up
        to the sequence `at_least` then."""
        key = (stream.name, experiment_id)
        at, files = self._listed.get(key, (0.0, []))
        if at_least is None or time.monotonic() - at > FRESH or end(files) < at_least:
            files = self._list(stream, experiment_id)
            self._listed[key] = (time.monotonic(), files)
        return files

    def forget(self, stream: Stream, experiment_id: str) -> None:
        """Look for the files anew when they are listed next."""
        self._listed.pop((stream.name, experiment_id), None)

    @contextlib.contextmanager
    def here(self, stream: Stream, experiment_id: str) -> Iterator[Callable[[File], str]]:
        """A function that says where a file of an experiment lies on this machine, until the end of
        the context. It raises FileNotFoundError once the file was merged."""
        folder = self._folder(stream, experiment_id)
        if self._near:
            yield lambda file: f"{folder}/{file.name}"
            return
        with self._copies.held() as path:

            @_reached()
            def here(file: File) -> str:
                name = f"{stream.name} {experiment_id} {folder.split('/')[-2]} {file.name}"
                return path(name, lambda part: self._fs.get_file(f"{folder}/{file.name}", part))

            yield here

    @_reached()
    def part(self, stream: Stream, experiment_id: str) -> str:
        """A path on this machine for a file that is to be kept."""
        if not self._near:
            return self._copies.part()
        folder = self._folder(stream, experiment_id)
        Path(folder).mkdir(parents=True, exist_ok=True)
        return f"{folder}/{time.monotonic_ns()}.part"

    @_reached()
    def keep(self, stream: Stream, experiment_id: str, part: str, file: File) -> None:
        """Keep what was written at `part` as a file, all or nothing, on the disk."""
        target = f"{self._folder(stream, experiment_id)}/{file.name}"
        if self._near:
            _sync(part)
            os.replace(part, target)
            _sync(Path(target).parent)
        else:
            self._fs.put_file(part, target)
            os.unlink(part)
        self.forget(stream, experiment_id)

    @_reached()
    def remove(self, stream: Stream, experiment_id: str, file: File) -> None:
        """Remove a file whose points are in another."""
        self._fs.rm_file(f"{self._folder(stream, experiment_id)}/{file.name}")
        self.forget(stream, experiment_id)

    @_reached()
    def experiments(self, stream: Stream) -> set[str]:
        """The experiments that have files of a stream, in whichever folder."""
        found = (self._names(folder) for folder in self._names(f"{self._root}/{stream.name}"))
        return {path.rpartition("/")[2] for paths in found for path in paths}

    @_reached()
    def remove_all(self, stream: Stream, experiment_id: str) -> None:
        """Remove all files of an experiment, in whichever folder."""
        for folder in self._names(f"{self._root}/{stream.name}"):
            self._remove(f"{folder}/{experiment_id}")
        self.forget(stream, experiment_id)

    def remove_parts(self) -> None:
        """Remove what nobody will finish, since its writer was killed."""
        if self._near:
            for part in Path(self._root).glob("*/*/*/*.part"):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - part.stat().st_mtime > ABANDONED:
                        part.unlink()

    def copied(self) -> set[str]:
        """The experiments of whose files there are copies on this machine."""
        return {name.split(" ")[1] for name in self._copies.names()}

    def forget_copies(self, experiment_id: str) -> None:
        """Remove the copies on this machine of an experiment's files."""
        self._copies.forget(lambda name: name.split(" ")[1] == experiment_id)

    def _names(self, folder: str) -> list[str]:
        """The folders in a folder."""
        self._fs.invalidate_cache(folder)
        try:
            found = self._fs.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        return [str(e["name"]) for e in found if e["type"] == "directory"]

    def _remove(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(folder, recursive=True)

    def _list(self, stream: Stream, experiment_id: str) -> list[File]:
        folder = self._folder(stream, experiment_id)
        self._fs.invalidate_cache(folder)
        try:
            found = self._fs.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        parsed = [parse(e["name"].rpartition("/")[2], int(e["size"] or 0)) for e in found]
        return [file for file in parsed if file is not None]

    def _folder(self, stream: Stream, experiment_id: str) -> str:
        return f"{self._root}/{stream.name}/{self._folders[stream.name]}/{experiment_id}"

    @property
    def unread(self) -> Mapping[str, Pointer]:
        """By stream, what `switch` is to let be read."""
        return self._unread

    @_reached()
    def switch(self) -> None:
        """Let the files that were written anew be read, and no longer the old ones."""
        pending, self._unread, self._anew = self._unread, {}, False
        for name, pointer in pending.items():
            self._put(f"{self._root}/{name}.json", json.dumps(pointer).encode())

    def _pointer(self, stream: Stream) -> Pointer:
        if stream.name in self._unread:
            return self._unread[stream.name]
        try:
            found: Pointer = json.loads(self._fs.cat_file(f"{self._root}/{stream.name}.json"))
        except FileNotFoundError:
            return {}
        return found

    def _point(self, stream: Stream, pointer: Pointer) -> None:
        if self._anew:
            self._unread[stream.name] = pointer
        else:
            self._put(f"{self._root}/{stream.name}.json", json.dumps(pointer).encode())

    def _put(self, path: str, data: bytes) -> None:
        """Write a small file, all or nothing, to the disk."""
        if not self._near:
            self._fs.pipe_file(path, data)
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        part = Path(f"{path}.{time.monotonic_ns()}")
        part.write_bytes(data)
        _sync(part)
        os.replace(part, path)
        _sync(part.parent)


def _number(pointer: Pointer) -> int:
    """Of folders of one stream, the later has the greater number; 0: there is none."""
    return int(str(pointer.get("folder", "")).rpartition("-")[2] or 0)


def _sync(path: str | Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
