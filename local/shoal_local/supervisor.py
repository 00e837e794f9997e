"""Keeps the platform's processes running, and leaves none behind.

A child that ends is started again, after a pause that grows while it keeps ending. Machines that
the provisioner started live in sessions of their own, so that no service's death harms a trial;
they are found by the files that it wrote, and end last.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from shoal.ports import FOR_SERVERS, free_ports
from shoal_local import servers, state
from shoal_local.servers import Child

SERVERS = ("nats", "feed", "redis")
STOP_GRACE = 10.0
"""Seconds that children get to end by themselves."""


class StartError(RuntimeError):
    """The platform could not be started; the text says which part, and where its log is."""


@dataclass(slots=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes]
    started: float
    quick_ends: int = 0


@dataclass(slots=True)
class Supervisor:
    """One local platform. Use as a context manager: leaving it ends everything."""

    state_dir: Path
    slots: int = 2
    machines: int = 2
    min_machines: int = 0
    gpus: Sequence[str] = ()
    """This machine's GPUs, by their names, which are the slots of the one machine of the pool; with
    none, `slots` are shares of the CPU."""
    idle: float = 60.0
    port: int = 0
    url: str = ""
    nats_url: str = ""
    feed_url: str = ""
    _running: dict[str, _Running] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Supervisor":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        (self.state_dir / "logs").mkdir(exist_ok=True)
        end_machines(self.state_dir)  # of a platform that was killed without a chance to end
        nats_port, feed_port, redis_port, other = free_ports(4, FOR_SERVERS)
        gateway_port = self.port or other
        self.nats_url = f"nats://127.0.0.1:{nats_port}"
        self.feed_url = f"nats://127.0.0.1:{feed_port}"
        self.url = f"http://127.0.0.1:{gateway_port}"
        pools = self.state_dir / "pools.json"
        pools.write_text(json.dumps([self._pool()], indent=1))
        self._launch(servers.nats(self.state_dir, nats_port))
        self._launch(servers.feed(self.state_dir, feed_port))
        self._launch(servers.redis(self.state_dir, redis_port))
        for name in ("nats", "redis"):
            self._await_port(name)
        for child in servers.services(
            self.state_dir,
            nats_url=self.nats_url,
            feed_url=self.feed_url,
            redis_url=f"redis://127.0.0.1:{redis_port}/0",
            gateway_port=gateway_port,
            pools=pools,
        ):
            self._launch(child)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()
        self._await_port("gateway")
        own = psutil.Process()
        state.write(
            state.PlatformState(
                url=self.url,
                nats_url=self.nats_url,
                feed_url=self.feed_url,
                pid=own.pid,
                create_time=own.create_time(),
                state_dir=str(self.state_dir),
            )
        )

    def _pool(self) -> dict[str, object]:
        pool = {"name": "default", "driver": "local", "max_idle_period": self.idle}
        if self.gpus:  # they are this machine's, so there is one, which stays
            model = re.sub(r"[^a-z0-9]+", "-", self.gpus[0].lower())
            kind = {"machine_type": "local", "gpu": model, "gpu_count": len(self.gpus)}
            return {**pool, "kinds": [kind], "min_instances": 1, "max_instances": 1}
        return {
            **pool,
            "min_instances": self.min_machines,
            "max_instances": self.machines,
            "slots_per_instance": self.slots,
        }

    def _launch(self, child: Child, quick_ends: int = 0) -> None:
        log = (self.state_dir / "logs" / f"{child.name}.log").open("ab")
        with log:
            process = subprocess.Popen(
                child.command,
                env={**os.environ, **child.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.state_dir,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends all
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        self._running[child.name] = _Running(child, process, time.monotonic(), quick_ends)

    def _await_port(self, name: str, deadline: float = 60.0) -> None:
        port = self._running[name].child.port
        end = time.monotonic() + deadline
        while not _answers(port or 0):
            ended = self._running[name].process.poll()
            if time.monotonic() > end or (ended is not None and self._watcher is None):
                log = self.state_dir / "logs" / f"{name}.log"
                raise StartError(f"{name} did not come up; its last words are in {log}")
            time.sleep(0.02)

    def _watch(self) -> None:
        while not self._stopping.wait(0.25):
            with self._lock:
                for running in list(self._running.values()):
                    if running.process.poll() is None or self._stopping.is_set():
                        continue
                    lived = time.monotonic() - running.started
                    ends = running.quick_ends + 1 if lived < 5 else 0
                    pause = min(5.0, 0.1 * 2**ends) if ends else 0.0
                    if time.monotonic() - running.started - lived < pause and ends > 1:
                        self._stopping.wait(pause)
                    if not self._stopping.is_set():
                        self._launch(running.child, ends)

    def pids(self) -> dict[str, int]:
        """The process of each child, by name."""
        return {name: running.process.pid for name, running in self._running.items()}

    def stop(self) -> None:
        """End everything: services first, then machines, then the servers."""
        self._stopping.set()
        with self._lock:
            order = [n for n in self._running if n not in SERVERS]
            _end([self._running[n].process for n in order])
            end_machines(self.state_dir)
            _end([r.process for n, r in self._running.items() if n in SERVERS])
            self._running.clear()
        state.forget(os.getpid())


def end_machines(state_dir: Path, grace: float = STOP_GRACE) -> None:
    """End every machine that the local provisioner has started under `state_dir`."""
    found: list[psutil.Process] = []
    for file in sorted((state_dir / "machines").glob("*/machine.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            data = json.loads(file.read_text())
            if state.is_alive(int(data["pid"]), float(data["create_time"])):
                process = psutil.Process(int(data["pid"]))
                found += [process, *process.children(recursive=True)]
                process.terminate()
    _, alive = psutil.wait_procs(found, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    end = time.monotonic() + STOP_GRACE
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _die_with_parent() -> None:
    """Linux: end when the supervisor does, even by kill -9 (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
