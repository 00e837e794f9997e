"""Machines that are processes of this one: each a worker in a session of its own, so that it and
its trials outlive the provisioner. A file for each tells a later provisioner about it."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from shoal_provisioner.shell.drivers.base import StartError


@dataclass(slots=True)
class LocalDriver:
    """Starts `command` (a worker) with the settings of a machine in its environment."""

    state_dir: Path
    nats_url: str
    command: list[str] = field(default_factory=lambda: [sys.executable, "-m", "shoal_worker"])

    async def start(self, pool: str, instance_id: str, slots: int) -> None:
        """Start a worker."""
        folder = self.state_dir / "machines" / instance_id
        if (folder / "machine.json").exists():
            return
        env = {
            **os.environ,
            "SHOAL_NATS_URL": self.nats_url,
            "SHOAL_NODE_ID": instance_id,
            "SHOAL_INSTANCE_ID": instance_id,
            "SHOAL_POOL": pool,
            "SHOAL_SLOTS": str(slots),
            "SHOAL_STATE_DIR": str(folder),
        }
        env.pop("SHOAL_REPLICA", None)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "worker.log").open("ab") as log:
                process = await asyncio.to_thread(self._spawn, env, log.fileno(), folder)
            created = psutil.Process(process.pid).create_time()
        except (OSError, psutil.Error) as error:
            raise StartError(f"the worker {instance_id} could not be started: {error}") from error
        about = {
            "pid": process.pid, "create_time": created, "instance_id": instance_id, "pool": pool,
        }  # fmt: skip
        draft = folder / "machine.json.draft"
        draft.write_text(json.dumps(about))
        draft.replace(folder / "machine.json")

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

    async def stop(self, instance_id: str, grace: float) -> None:
        """SIGTERM, then SIGKILL after the grace, to the worker and what it left behind."""
        process = self._process(instance_id)
        if process is None:
            return
        with contextlib.suppress(psutil.Error):
            process.terminate()
        await asyncio.to_thread(psutil.wait_procs, [process], grace)
        with contextlib.suppress(psutil.Error):
            for child in process.children(recursive=True):
                child.kill()
            process.kill()

    async def running(self) -> set[str]:
        """Machines whose process lives."""
        files = (self.state_dir / "machines").glob("*/machine.json")
        return {f.parent.name for f in files if self._process(f.parent.name) is not None}

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
