"""What a run leaves in storage besides checkpoints: TensorBoard's files and the ranks' output."""

import asyncio
import contextlib
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import fsspec

from shoal_contract.events import RunOrder
from shoal_contract.line import Numbers
from shoal_contract.storage import unusable
from shoal_worker.core.rates import Mark
from shoal_worker.shell.tensorboard import EventFile

log = logging.getLogger(__name__)

INTERVAL = 30.0
"""Seconds between two copies of the TensorBoard files of a run that goes on."""
DESTINATION = "destination"
"""The file in a run's folder that says where its records go, for a worker that died."""


@dataclass(slots=True)
class Records:
    """Keeps the records of the runs of this machine, and brings them to storage."""

    state_dir: Path
    incarnation: str = ""
    """Of the worker whose runs these are."""
    marks: dict[str, Mark] = field(default_factory=dict)
    """Of each run: how far it had come when it last reported."""
    _files: dict[str, EventFile] = field(default_factory=dict)

    def open(self, order: RunOrder) -> None:
        """A run begins; its folder exists. Raises ValueError for storage that cannot be used."""
        task = order.task
        why = unusable(task.storage_url, fsspec.get_filesystem_class, "shoal-worker")
        if why is not None:
            raise ValueError(f"{task.storage_url}: {why}")
        folder = self.folder(order.run_id)
        where = f"{task.storage_url.rstrip('/')}/{task.trial_id}"
        whose = f"{where}\n{where}/a{task.attempt}/logs\n{self.incarnation}\n"
        (folder / DESTINATION).write_text(whose)
        if order.first_rank == 0:
            step = task.checkpoint.step if task.checkpoint and task.inherits != "weights" else 0
            self.marks[order.run_id] = Mark(0.0, step)
            self._files[order.run_id] = EventFile(folder / "tensorboard", order.run_id, step)

    def folder(self, run_id: str) -> Path:
        """The folder of a run."""
        return self.state_dir / "runs" / run_id

    def add(self, order: RunOrder, item: Numbers) -> None:
        """Numbers were reported."""
        file = self._files.get(order.run_id)
        if file is None:
            return
        if item.group != "system":
            self.marks[order.run_id] = Mark(item.at, item.step, item.samples)
        names = {f"{item.group}/{name}": value for name, value in item.metrics.items()}
        file.add(item.step, names, item.at)

    async def follow(self) -> None:
        """Copy TensorBoard's files of runs that go on, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            for run_id, file in list(self._files.items()):
                file.flush()
                await asyncio.to_thread(_copied, self.folder(run_id), ("tensorboard",))

    async def close(self, run_id: str) -> None:
        """A run is over: everything goes to storage, and its folder goes away. What storage does
        not take stays, for the next start of this worker."""
        self.marks.pop(run_id, None)
        if (file := self._files.pop(run_id, None)) is not None:
            file.close()
        await asyncio.to_thread(_moved, self.folder(run_id))

    async def left_behind(self) -> None:
        """Bring to storage what an earlier life of this worker could not."""
        for folder in found(self.state_dir):
            await asyncio.to_thread(_moved, folder)


def found(state_dir: Path) -> list[Path]:
    """The folders of all runs that are there."""
    runs = state_dir / "runs"
    return sorted(runs.iterdir()) if runs.exists() else []


def rescue(state_dir: Path, incarnation: str) -> None:
    """Bring to storage what one life of a worker left behind: not what is of one that came after
    it, and may train."""
    for folder in found(state_dir):
        with contextlib.suppress(OSError, IndexError):
            if (folder / DESTINATION).read_text().split("\n")[2] == incarnation:
                _moved(folder)


def _moved(folder: Path) -> None:
    if _copied(folder, ("tensorboard", "logs")):
        shutil.rmtree(folder, ignore_errors=True)


def _copied(folder: Path, parts: tuple[str, ...]) -> bool:
    """Copy the files of these sub-folders; whether all are in storage."""
    try:
        trial, logs = (folder / DESTINATION).read_text().split("\n")[:2]
    except OSError:
        return True  # it never began
    targets = {"tensorboard": f"{trial}/tensorboard", "logs": logs}
    try:
        for part in parts:
            files = [f for f in (folder / part).glob("*") if f.is_file() and f.stat().st_size]
            if not files:
                continue
            fs, path = fsspec.core.url_to_fs(targets[part])
            fs.makedirs(path, exist_ok=True)
            for file in files:
                fs.put_file(str(file), f"{path}/{file.name}")
    except Exception as error:  # each kind of storage has errors of its own
        log.warning("the records of %s could not be stored: %r", folder.name, error)
        return False
    return True
