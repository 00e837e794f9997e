"""NATS, Redis and one gateway, each a process, on ports and in folders of their own."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from shoal.ports import FOR_SERVERS, free_ports
from shoal_local import servers
from shoal_local.servers import Child

WAIT = 60.0
"""Seconds within which everything answers."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where things are."""

    url: str
    token: str
    nats_url: str
    redis_url: str
    pids: dict[str, int]

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"Bearer {self.token}"}

    def client(self) -> httpx.AsyncClient:
        """A client of the gateway, as the machine's user."""
        return httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=60)

    def seconds(self) -> dict[str, float]:
        """Processor time of each process so far."""
        found = {}
        for name, pid in self.pids.items():
            times = psutil.Process(pid).cpu_times()
            found[name] = times.user + times.system
        return found


@contextlib.contextmanager
def stand(folder: Path, *, synced: bool = True, **env: str) -> Iterator[Stand]:
    """A gateway that is ready; `env` are settings of it. `synced`: as in use, NATS acknowledges
    what is on the disk; else it is sooner full."""
    folder.mkdir(parents=True)
    ports = free_ports(3, FOR_SERVERS)
    nats_url, redis_url = f"nats://127.0.0.1:{ports[0]}", f"redis://127.0.0.1:{ports[1]}/0"
    gateway = servers.services(
        folder,
        nats_url=nats_url,
        feed_url="",
        redis_url=redis_url,
        gateway_port=ports[2],
        pools=folder / "none.yaml",
    )[0]
    children = [servers.nats(folder, ports[0]), servers.redis(folder, ports[1]), gateway]
    if not synced:
        config = folder / "nats.conf"
        config.write_text(config.read_text().replace(", sync_interval: always", ""))
    running = [_start(child, folder, env) for child in children]
    try:
        url = f"http://127.0.0.1:{ports[2]}"
        _await(url)
        pids = {c.name: p.pid for c, p in zip(children, running, strict=True)}
        yield Stand(url, (folder / "token").read_text().strip(), nats_url, redis_url, pids)
    finally:
        for process in reversed(running):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(child: Child, folder: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    with (folder / f"{child.name}.log").open("wb") as out:
        return subprocess.Popen(
            child.command, env={**os.environ, **child.env, **env}, stdout=out, stderr=out
        )


def _await(url: str) -> None:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise TimeoutError("the gateway is not ready")


def quantile(values: list[float], part: float) -> float:
    """The value that this part of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]
