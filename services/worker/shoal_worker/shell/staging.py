"""A run's folder: the experiment's code, fetched once a machine and checked."""

import hashlib
import shutil
import tarfile
import threading
import zipfile
from pathlib import Path

import fsspec

from shoal_contract.events import Bundle

_FETCHING = threading.Lock()
"""Runs of one experiment start together, and need the same bundle: one of them fetches it."""


class StagingError(RuntimeError):
    """A run's files could not be made; the text says why."""


def stage(state_dir: Path, run_id: str, bundle: Bundle | None) -> Path:
    """The folder of a run, with a fresh copy of the bundle in it. Raises StagingError."""
    folder = state_dir / "runs" / run_id / "work"
    try:
        (folder.parent / "logs").mkdir(parents=True, exist_ok=True)
        if bundle is None:
            folder.mkdir(exist_ok=True)
        else:
            with _FETCHING:
                source = _fetched(state_dir, bundle)
            shutil.copytree(source, folder, dirs_exist_ok=True)
    except Exception as error:  # each kind of storage and archive has errors of its own
        raise StagingError(f"the files of {run_id} could not be made: {error}") from error
    return folder


def _fetched(state_dir: Path, bundle: Bundle) -> Path:
    target = state_dir / "bundles" / bundle.sha256
    if target.exists():
        return target
    archive = target.with_suffix(".zip" if bundle.url.endswith(".zip") else ".tar")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with fsspec.open(bundle.url, "rb") as source, archive.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != bundle.sha256:
        raise ValueError(f"the bundle {bundle.url} has the checksum {digest}, not {bundle.sha256}")
    draft = target.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    _unpack(archive, draft)
    draft.rename(target)
    archive.unlink()
    return target


def _unpack(archive: Path, folder: Path) -> None:
    """Of a tar, packed or not, or a zip: files and folders alone, and these below `folder`."""
    if archive.suffix == ".tar":
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        return
    folder.mkdir()
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            path = packed.extract(member, folder)  # which keeps names below the folder
            if member.external_attr >> 16 & 0o100:
                Path(path).chmod(0o755)
