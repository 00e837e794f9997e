"""The demo: the main job for real. Starts the platform, searches, takes a machine away in the
middle, shows all of it live, and writes a report."""

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.live import Live

from shoal.client import Client, ShoalError
from shoal_contract.events import REGISTER
from shoal_local import interrupt, report, screen, state
from shoal_local.supervisor import Supervisor
from shoal_local.view import View, apply

NOTICE = 10.0
"""Seconds from the notice to the kill."""
TIME_LIMIT = 600.0
SERVICES = ("searcher", "scheduler", "provisioner", "gateway")


@dataclass(slots=True)
class Demo:
    """One showing. Use as a context manager: leaving it ends every process."""

    report_dir: Path
    state_dir: Path | None = None
    trials: int = 16
    chaos: bool = False
    view: View = field(default_factory=View)
    _console: Console = field(default_factory=Console)
    _started: Supervisor | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)
    _taken: str = ""
    """The machine that was taken last."""
    _killed: list[str] = field(default_factory=list)
    _disturbed: float = 0.0
    _applied: set[str] = field(default_factory=set)

    def __enter__(self) -> "Demo":
        folder = (self.state_dir or Path(".shoal") / "demo").absolute()
        os.environ["SHOAL_HOME"] = str(folder)  # apart from a platform that the user runs
        if (running := state.read()) is not None:
            raise OSError(f"a demo runs already in {folder}, as process {running.pid}")
        shutil.rmtree(folder, ignore_errors=True)
        self._console.print("Starting NATS, Redis and the services …")
        self._started = Supervisor(folder, slots=2, machines=2, min_machines=2, idle=30)
        self._started.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._started is not None:
            self._console.print("Ending all processes …")
            self._started.stop()

    @property
    def _platform(self) -> Supervisor:
        if self._started is None:
            raise RuntimeError("the demo has not been entered")
        return self._started

    def run(self) -> int:
        """Show the demo; returns the exit code."""
        client = Client(url=self._platform.url)
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        began = time.monotonic()
        for config, folder in self._experiments():
            client.run(config, folder)
        with Live(console=self._console, refresh_per_second=4, transient=False) as live:
            while not self._over():
                seconds = time.monotonic() - began
                if seconds > TIME_LIMIT:
                    self._console.print(f"The search did not end within {TIME_LIMIT:.0f} s.")
                    return 1
                with self._lock:
                    self._disturb()
                    live.update(screen.draw(self.view, seconds, self._console.width))
                interrupt.wait(0.25)
            seconds = time.monotonic() - began
            live.update(screen.draw(self.view, seconds, self._console.width))
        return self._conclude(seconds)

    def _experiments(self) -> list[tuple[dict[str, Any], Path]]:
        import yaml

        folder = example()
        config: dict[str, Any] = yaml.safe_load((folder / "experiment.yaml").read_text())
        config["searcher"]["max_trials"] = self.trials
        parallel = json.loads(json.dumps(config))
        parallel["name"] = f"{config['name']}-2-slots"
        parallel["resources"] = {"slots_per_trial": 2}
        parallel["searcher"]["max_trials"] = max(2, self.trials // 4)
        parallel["seed"] = config.get("seed", 0) + 1
        return [(config, folder), (parallel, folder)]

    def _read(self) -> None:
        while not self._done.is_set():
            with contextlib.suppress(ShoalError, OSError):
                for item in Client(url=self._platform.url).events(since="start"):
                    event = REGISTER[item["type"].removeprefix("shoal.v1.")]
                    with self._lock:
                        if item["id"] not in self._applied:  # a new connection starts anew
                            self._applied.add(item["id"])
                            apply(self.view, event.model_validate(item["data"]))
                    if self._done.is_set():
                        return

    def _over(self) -> bool:
        with self._lock:
            expected = len(self.view.experiments) == 2
            return (
                expected and self.view.over and not any(r.nodes for r in self.view.trials.values())
            )

    def _disturb(self) -> None:
        """Take a machine away once the search is well under way; under chaos, services too.

        A trial that ends between this look and the notice is not preempted: when a machine goes
        without one that was, the next is taken.
        """
        measured = sum(len(row.curve) for row in self.view.trials.values())
        quiet = time.monotonic() - self._disturbed > 2.5
        preempted = any(row.preemptions for row in self.view.trials.values())
        taken = self.view.nodes.get(self._taken, "gone")
        if measured >= 12 and quiet and not preempted and taken == "gone":
            for node, what in self.view.nodes.items():
                rows = [
                    row
                    for row in self.view.running(node)
                    if row.checkpoint_step and (row.target - row.time >= 8 or measured >= 40)
                ]  # one that has a checkpoint, and some way to go
                if what == "ready" and rows:
                    self._preempt(node)
                    self._taken, self._disturbed = node, time.monotonic()
                    return
        if self.chaos and measured >= 4 and quiet and len(self._killed) < len(SERVICES):
            name = SERVICES[len(self._killed)]
            os.kill(self._platform.pids()[name], signal.SIGKILL)
            self._killed.append(name)
            self._disturbed = time.monotonic()
            self.view.notes.append(f"kill -9 of the {name}")

    def _preempt(self, node: str) -> None:
        """As a cloud does: a notice, and some seconds later the end of the machine."""
        file = self._platform.state_dir / "machines" / node / "machine.json"
        machine = json.loads(file.read_text())
        pid, created = int(machine["pid"]), float(machine["create_time"])
        self.view.notes.append(f"the cloud takes {node} back: notice now, kill in {NOTICE:.0f} s")
        os.kill(pid, signal.SIGTERM)

        def kill() -> None:
            if state.is_alive(pid, created):
                with contextlib.suppress(psutil.Error):
                    psutil.Process(pid).kill()

        timer = threading.Timer(NOTICE, kill)
        timer.daemon = True
        timer.start()

    def _conclude(self, seconds: float) -> int:
        with self._lock:
            file = report.write(
                self.view, self.report_dir, state_dir=self._platform.state_dir, seconds=seconds
            )
            for line in report.summary(self.view):
                self._console.print(line, highlight=False)
            states = [row.state for row in self.view.experiments.values()]
        self._console.print(
            f"{seconds:.0f} s. Report: [link=file://{file.absolute()}]{file}[/link]"
        )
        self._console.print(f"Files: {self._platform.state_dir}")
        return 0 if states == ["completed"] * 2 else 1


def example() -> Path:
    """The folder of the digits example: beside the sources, or under the current folder."""
    for base in (Path(__file__).parents[2], Path.cwd()):
        if (base / "examples" / "digits" / "experiment.yaml").exists():
            return base / "examples" / "digits"
    print("shoal: run the demo from the project's folder", file=sys.stderr)
    raise SystemExit(2)
