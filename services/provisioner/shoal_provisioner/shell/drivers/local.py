"""Machines that are processes of this one: each a worker in a session of its own, so that it and
its trials outlive the provisioner. A file for each tells a later provisioner about it."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from shoal_provisioner.shell.drivers.base import Machine, Order, StartError


@dataclass(slots=True)
class LocalDriver:
    """Starts `command` (a worker) with the settings of a machine in its environment."""

    state_dir: Path
    nats_url: str
    inherited: Mapping[str, str] = field(default_factory=dict)
    """What a worker's environment begins with."""
    command: list[str] = field(default_factory=lambda: [sys.executable, "-m", "shoal_worker"])

    poll: float = 0.5
    gpus: Collection[str] = ()
    """Kinds of machine that have this machine's GPUs; others have shares of its CPU."""

    async def start(self, orders: Sequence[Order]) -> dict[str, StartError]:
        """Start workers."""
        failed: dict[str, StartError] = {}
        for order in orders:
            try:
                await self._start(order)
            except StartError as error:
                failed[order.instance_id] = error
        return failed

    async def _start(self, order: Order) -> None:
        pool, instance_id = order.pool, order.instance_id
        folder = self.state_dir / "machines" / instance_id
        if (folder / "machine.json").exists():
            if self._process(instance_id) is None:
                raise StartError(f"{instance_id} has ended; a machine is never started twice")
            return
        if folder.exists() and (orphan := self._orphan(instance_id)) is not None:
            self._write(folder, instance_id, pool, orphan)  # we died between start and note
            return
        env = {
            **self.inherited,
            "SHOAL_NATS_URL": self.nats_url,
            "SHOAL_NODE_ID": instance_id,
            "SHOAL_INSTANCE_ID": instance_id,
            "SHOAL_POOL": pool,
            "SHOAL_SLOTS": str(order.slots),
            "SHOAL_DEVICES": "cuda" if order.kind in self.gpus else "cpu",
            "SHOAL_STATE_DIR": str(folder),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "worker.log").open("ab") as log:
                started = await asyncio.to_thread(self._spawn, env, log.fileno(), folder)
            self._write(folder, instance_id, pool, psutil.Process(started.pid))
        except (OSError, psutil.Error) as error:
            raise StartError(f"the worker {instance_id} could not be started: {error}") from error

    @staticmethod
    def _write(folder: Path, instance_id: str, pool: str, process: psutil.Process) -> None:
        about = {
            "pid": process.pid,
            "create_time": process.create_time(),
            "instance_id": instance_id,
            "pool": pool,
        }
        _replace(folder / "machine.json", about)

    def _orphan(self, instance_id: str) -> psutil.Process | None:
        """A worker that was started under this id, of which no note was taken."""
        folder = str(self.state_dir / "machines" / instance_id)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                ours = process.environ().get("SHOAL_STATE_DIR") == folder
                if ours and process.cmdline()[1:] == self.command[1:]:
                    return process
        return None

    def _spawn(self, env: dict[str, str], log: int, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    async def stop(self, instance_id: str, zone: str, grace: float, *, told: bool = False) -> None:
        """SIGTERM, then SIGKILL after the grace, to the worker and what it left behind."""
        process = self._process(instance_id)
        if process is not None:
            family = {process: None}
            with contextlib.suppress(psutil.Error):
                family.update(dict.fromkeys(process.children(recursive=True)))
                process.terminate()
            await asyncio.to_thread(psutil.wait_procs, [process], grace)
            with contextlib.suppress(psutil.Error):
                family.update(dict.fromkeys(process.children(recursive=True)))
            for member in family:
                with contextlib.suppress(psutil.Error):
                    member.kill()  # psutil never hits another process with the same number
            await asyncio.to_thread(psutil.wait_procs, [process], 5)
        self._mark_ended(instance_id)

    def _mark_ended(self, instance_id: str) -> None:
        file = self.state_dir / "machines" / instance_id / "machine.json"
        with contextlib.suppress(OSError, ValueError):
            _replace(file, {**json.loads(file.read_text()), "ended": True})

    async def machines(self) -> list[Machine]:
        """Workers whose process lives."""
        found: list[Machine] = []
        for file in sorted((self.state_dir / "machines").glob("*/machine.json")):
            name = file.parent.name
            if self._process(name) is not None:
                with contextlib.suppress(OSError, ValueError, KeyError):
                    pool = str(json.loads(file.read_text())["pool"])
                    found.append(Machine(pool, name, kind="local", zone="local"))
        return found

    async def was_preempted(self, instance_id: str, zone: str) -> bool:
        """Nobody takes a process back."""
        return False

    def _process(self, instance_id: str) -> psutil.Process | None:
        try:
            file = self.state_dir / "machines" / instance_id / "machine.json"
            about = json.loads(file.read_text())
            process = psutil.Process(int(about["pid"]))
            if abs(process.create_time() - float(about["create_time"])) > 1:
                return None  # the number was given to another process
            if process.status() == psutil.STATUS_ZOMBIE:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
                return None
        except (OSError, ValueError, KeyError, psutil.Error):
            return None
        return process


def _replace(file: Path, about: dict[str, object]) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(about))
    draft.replace(file)
