"""Artifacts: files that runs log through MLflow's API, in storage under
`artifacts/<experiment>/<run>/artifacts/…`, as the paths have it that its client asks for."""

import asyncio
import contextlib
import os.path
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from shoal_contract.base import ID_PATTERN
from shoal_gateway.shell import storage
from shoal_gateway.shell.bodies import too_big
from shoal_gateway.shell.problems import ProblemError, unknown, wrong

_PATH = re.compile(
    rf"(?P<experiment>{ID_PATTERN.strip('^$')})/(?P<run>{ID_PATTERN.strip('^$')})/artifacts"
    r"(?P<rest>(/(?!\.{1,2}(/|$))[^/\\\x00-\x1f\x7f]{1,255})*)"
)
"""No empty part, none that leads up, and nothing that a file system takes for something else."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an artifact, or a folder of them, is."""

    experiment_id: str
    run_id: str
    path: str
    """Below all artifacts."""
    top: bool
    """Whether it is the folder of all of a run's artifacts."""


def place_in(path: str) -> Place:
    """Where a path leads. Raises ProblemError for one that leads nowhere or elsewhere."""
    if len(path) > 1000 or (found := _PATH.fullmatch(path)) is None:
        raise wrong("path", f"There can be no artifact at {path[:200]!r}.", 400)
    return Place(found["experiment"], found["run"], path, not found["rest"])


def uri(experiment_id: str, run_id: str | None = None) -> str:
    """What MLflow's client is told: it asks the tracking server for what is there."""
    below = "" if run_id is None else f"/{run_id}/artifacts"
    return f"mlflow-artifacts:/{experiment_id}{below}"


class Artifacts:
    """All that is kept. Raises ProblemError for what cannot be, and OSError when storage does not
    answer."""

    def __init__(self, storage_url: str, max_size: int) -> None:
        self._url, self._max_size = f"{storage_url.rstrip('/')}/artifacts", max_size
        self._fs: Any
        self._fs, self._root = fsspec.core.url_to_fs(self._url)

    async def store(self, place: Place, body: AsyncIterator[bytes]) -> None:
        """Keep a file."""
        if place.top:
            raise _taken(place)
        with tempfile.TemporaryFile() as file:
            await storage.receive(body, file, self._max_size, too_big)
            try:
                await asyncio.to_thread(self._put, file, place)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise _taken(place) from error

    async def read(self, place: Place) -> tuple[int, Iterator[bytes]]:
        """The bytes that a file has, and the file, piece by piece."""
        info = await asyncio.to_thread(self._info, place)
        if info is None or info["type"] != "file":
            raise unknown("artifact", place.path)
        return int(info["size"]), self._pieces(place)

    async def files(self, place: Place) -> list[dict[str, Any]]:
        """What is in a folder, as MLflow has it; nothing, if there is no such folder."""
        return await asyncio.to_thread(self._files, place)

    def experiments(self) -> set[str]:
        """The experiments of which there are artifacts."""
        try:
            return {_name(path) for path in self._fs.ls(self._root, detail=False)}
        except FileNotFoundError:
            return set()

    def remove_all(self, experiment_id: str) -> None:
        """Remove what there is of an experiment."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(f"{self._root}/{experiment_id}", recursive=True)

    def _put(self, file: Any, place: Place) -> None:
        if self._fs.isdir(self._path(place)):
            raise _taken(place)
        storage.put(file, f"{self._url}/{place.path}")

    def _info(self, place: Place) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._fs.info(self._path(place))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found

    def _pieces(self, place: Place) -> Iterator[bytes]:
        with self._fs.open(self._path(place), "rb") as file:
            while piece := file.read(storage.PIECE):
                yield piece

    def _files(self, place: Place) -> list[dict[str, Any]]:
        info = self._info(place)
        if info is None or info["type"] != "directory":
            return []
        found = []
        for entry in sorted(self._fs.ls(self._path(place), detail=True), key=lambda e: e["name"]):
            file = {"path": _name(entry["name"]), "is_dir": entry["type"] == "directory"}
            found.append(file if file["is_dir"] else file | {"file_size": int(entry["size"])})
        return found

    def _path(self, place: Place) -> str:
        """Where it is in its file system. Trials may write there, and must not lead out of it."""
        path = f"{self._root}/{place.path}"
        if "file" in self._fs.protocol and os.path.realpath(path) != os.path.join(
            os.path.realpath(self._root), place.path
        ):
            raise unknown("artifact", place.path)
        return path


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _taken(place: Place) -> ProblemError:
    return wrong(
        "path", f"{place.path[:200]!r} can be no file: it is a folder, or below a file.", 400
    )
