"""A platform of this machine's own for the benchmarks, and torchrun beside it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.worker.rows import SCRIPT, Row
from shoal.checkup.machine import gpus
from shoal.client import Client
from shoal_local.supervisor import Supervisor

WAIT = 120.0
CUDA = torch.cuda.is_available()
RANKS = (1, 2) if not CUDA or torch.cuda.device_count() > 1 else (1,)
"""How many ranks are tried here."""


@dataclass(slots=True)
class Stand:
    """A platform with warm machines."""

    client: Client
    folder: Path
    count: int = 0

    def submit(self, *arguments: str, cold: bool = False, **config: Any) -> tuple[str, Path]:
        """Submit an experiment that runs `script.py`; its id, and the file that it writes."""
        self.count += 1
        file = self.folder / f"{self.count}.jsonl"
        what, *rest = arguments
        python = ["python", "-u"] if cold else ["python"]  # a flag for Python needs a new process
        searcher = {"name": "single", "metric": "loss", "smaller_is_better": True, "max_time": 1}
        found = self.client.submit(
            {
                "name": what,
                "entrypoint": [*python, str(SCRIPT), what, str(file), *rest],
                "searcher": {**searcher, **config.pop("searcher", {})},
                **config,
            }
        )
        return found["experiment_id"], file

    def ended(self, experiment_id: str) -> Row:
        """Wait for the end of an experiment."""
        return until(
            lambda: (
                found
                if (found := self.client.experiment(experiment_id))["state"]
                not in ("active", "paused")
                else None
            ),
            pause=0.02,
        )


@contextlib.contextmanager
def stand(folder: Path, *, slots: int = 2, machines: int = 1) -> Iterator[Stand]:
    """A platform whose machines are there and warm; with GPUs, one machine that has them."""
    folder.mkdir(parents=True)
    made = Supervisor(
        folder / "platform",
        slots=slots,
        machines=machines,
        min_machines=machines,
        gpus=(gpus() or []) if CUDA else [],
    )
    with made as platform, Client(platform.url, token=_token(folder)) as client:
        until(lambda: len(client.nodes()) >= machines)
        one = Stand(client, folder)
        for _ in range(machines):
            one.ended(one.submit("first")[0])
        yield one


def _token(folder: Path) -> str:
    """What the gateway of a platform in `folder` wants to be shown."""
    return str(until(lambda: _text(folder / "platform" / "token")))


def _text(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def until(found: Callable[[], Any], pause: float = 0.05) -> Any:
    """The first answer that is not empty. Raises TimeoutError."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(pause)
    raise TimeoutError


def torchrun(file: Path, ranks: int, *arguments: str, restarts: int = 0) -> "subprocess.Popen[str]":
    """Start `script.py` as torchrun does."""
    what, *rest = arguments
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}",
        f"--max-restarts={restarts}", str(SCRIPT), what, str(file), *rest,
    ]  # fmt: skip
    env = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip


def end(process: "subprocess.Popen[str]") -> None:
    """End what `torchrun` started; its ranks live in sessions of their own."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()
