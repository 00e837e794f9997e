"""Checkpoints: files in a folder of storage, complete once their manifest is there.

The manifest names each file with its size and SHA-256, and is written last; on a local disk
everything is synced first. What has no manifest is no checkpoint. Files load with
`weights_only=True`.
"""

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from shoal_contract.events import Checkpoint
from shoal_contract.storage import unusable

MANIFEST = "manifest.json"
READ = 1 << 20
"""Bytes that are read at once."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or used; the text says which file, and why."""


class Folder:
    """A folder of storage, at any address that fsspec knows. Raises CheckpointError for others."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._fs, self._path = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            why = unusable(url, fsspec.get_filesystem_class, "shoal-sdk") or error
            raise CheckpointError(f"{url} cannot be opened: {why}") from error
        protocol = self._fs.protocol
        names = (protocol,) if isinstance(protocol, str) else protocol
        self.local_path: str | None = self._path if "file" in names else None
        """Where it is on this machine; None: elsewhere."""

    def begin(self) -> None:
        """Make the folder, without a manifest: until it has one, it is no checkpoint."""
        self._fs.makedirs(self._path, exist_ok=True)
        if self._fs.exists(f"{self._path}/{MANIFEST}"):
            self._fs.rm_file(f"{self._path}/{MANIFEST}")

    def write(self, name: str, part: Any) -> dict[str, Any]:
        """Save one object with torch.save; returns its entry for the manifest."""
        import torch

        with self._fs.open(f"{self._path}/{name}", "wb") as file:
            counted = _Counted(file)
            try:
                torch.save(part, counted)  # type: ignore[arg-type]
            except (AttributeError, TypeError, pickle.PicklingError) as error:
                raise CheckpointError(f"{name} cannot be saved: {error}") from error
            _sync(file, self.local_path)
        return {"size": counted.size, "sha256": counted.digest.hexdigest()}

    def about(self, name: str) -> dict[str, Any]:
        """The entry for the manifest of a file that is there."""
        digest, size = hashlib.sha256(), 0
        with self._fs.open(f"{self._path}/{name}", "rb") as file:
            while block := file.read(READ):
                digest.update(block)
                size += len(block)
        if self.local_path is not None:
            _sync_path(f"{self.local_path}/{name}")
        return {"size": size, "sha256": digest.hexdigest()}

    def names(self) -> list[str]:
        """The files in it, sorted."""
        found = self._fs.ls(self._path, detail=False)
        return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)

    def finish(self, files: Mapping[str, Mapping[str, Any]], step: int, attempt: int) -> Checkpoint:
        """Write the manifest: from here on it is a checkpoint."""
        text = json.dumps({"step": step, "attempt": attempt, "files": files}, indent=1)
        path = f"{self._path}/{MANIFEST}"
        if self.local_path is None:  # an object appears as a whole
            with self._fs.open(path, "w") as file:
                file.write(text)
        else:
            with open(f"{path}.draft", "w") as file:
                file.write(text)
                _sync(file, self.local_path)
            os.replace(f"{path}.draft", path)
            _sync_path(self._path)
        size = sum(int(entry["size"]) for entry in files.values())
        return Checkpoint(url=self.url, step=step, attempt=attempt, size=size)

    def manifest(self) -> dict[str, Any]:
        """What the checkpoint consists of. Raises CheckpointError where there is none."""
        try:
            with self._fs.open(f"{self._path}/{MANIFEST}", "r") as file:
                found: dict[str, Any] = json.load(file)
                return found
        except (OSError, ValueError) as error:
            raise CheckpointError(f"the checkpoint {self.url} cannot be read: {error}") from error

    def remove(self) -> bool:
        """Remove it, the manifest first; whether it was there."""
        if not self._fs.exists(self._path):
            return False
        if self._fs.exists(f"{self._path}/{MANIFEST}"):
            self._fs.rm_file(f"{self._path}/{MANIFEST}")
        self._fs.rm(self._path, recursive=True)
        return True

    def check(self, name: str, wanted: Mapping[str, Any]) -> None:
        """Raises CheckpointError if a file is missing or is not what was written."""
        try:
            found = self.about(name)
        except OSError as error:
            raise CheckpointError(f"{self.url}/{name} cannot be read: {error}") from error
        if found["sha256"] != wanted["sha256"]:
            raise CheckpointError(
                f"{self.url}/{name} is not what was saved: its checksum differs"
                f" ({found['size']} bytes, {wanted['size']} were written)"
            )

    def fetch(
        self, name: str, wanted: Mapping[str, Any], target: Path, heard: Callable[[int], None]
    ) -> None:
        """Copy a file of the manifest under the folder `target`; `heard` is told of the bytes.

        Raises CheckpointError if it is missing, is not what was written, or has a name that leads
        out of the folder.
        """
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            raise CheckpointError(f"{self.url} names a file outside of itself: {name}")
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        try:
            with self._fs.open(f"{self._path}/{name}", "rb") as file, path.open("wb") as copy:
                while block := file.read(READ):
                    digest.update(block)
                    copy.write(block)
                    heard(len(block))
        except OSError as error:
            raise CheckpointError(f"{self.url}/{name} cannot be copied: {error}") from error
        if digest.hexdigest() != wanted["sha256"]:
            raise CheckpointError(f"{self.url}/{name} is not what was saved: its checksum differs")

    def read(self, name: str) -> Any:
        """One object that `write` saved, on the CPU."""
        import torch

        try:
            with self._fs.open(f"{self._path}/{name}", "rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises what the content makes it raise
            raise CheckpointError(f"{self.url}/{name} cannot be loaded: {error}") from error


def save(url: str, parts: Mapping[str, Any], *, step: int, attempt: int) -> Checkpoint:
    """Write each of `parts` as a file, then the manifest; returns what was written."""
    folder = Folder(url)
    folder.begin()
    files = {f"{name}.pt": folder.write(f"{name}.pt", part) for name, part in parts.items()}
    return folder.finish(files, step, attempt)


def load(url: str, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The parts of a checkpoint, by name, on the CPU: all, or those in `names` that it has.

    Every file that is read is checked against the manifest. Raises CheckpointError if one is
    missing or is not what was written.
    """
    folder = Folder(url)
    wanted = None if names is None else set(names)
    parts: dict[str, Any] = {}
    for file, entry in folder.manifest()["files"].items():
        name = file.removesuffix(".pt")
        if file.endswith(".pt") and (wanted is None or name in wanted):
            folder.check(file, entry)
            parts[name] = folder.read(file)
    return parts


def newest(url: str) -> Checkpoint | None:
    """The complete checkpoint of the highest step among the sub-folders of `url`, if any."""
    try:
        names = Folder(url).names()
    except OSError:
        return None
    found: Checkpoint | None = None
    for name in names:
        folder = Folder(f"{url.rstrip('/')}/{name}")
        try:
            about = folder.manifest()
        except CheckpointError:
            continue
        if found is None or about["step"] > found.step:
            size = sum(entry["size"] for entry in about["files"].values())
            found = Checkpoint(
                url=folder.url, step=about["step"], attempt=about["attempt"], size=size
            )
    return found


class _Counted:
    """A file that counts and sums up what is written to it."""

    def __init__(self, file: Any) -> None:
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.digest.update(view)
        self.size += view.nbytes
        self._file.write(view)
        return view.nbytes

    def flush(self) -> None:
        self._file.flush()


def _sync(file: Any, local_path: str | None) -> None:
    if local_path is not None:
        file.flush()
        os.fsync(file.fileno())


def _sync_path(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
