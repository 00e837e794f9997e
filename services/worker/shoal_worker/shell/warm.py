"""The worker's end of the warm process (`zygote.py`)."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

OnExit = Callable[[str, int, int], None]
"""Called with run id, rank and exit code (negative: the signal)."""
GROWTH = 512 * 2**20
"""Bytes by which it may grow before another takes its place."""


class WarmProcess:
    """Forks ranks from a process that has imported what they need."""

    def __init__(
        self, on_exit: OnExit, env: dict[str, str], preload: str, held: tuple[int, ...] = ()
    ) -> None:
        self._held = held
        self._on_exit, self._env, self._preload = on_exit, env, preload
        self._packages, self._memory, self._retired = _packages(), 0, False
        self._started: dict[tuple[str, int], asyncio.Future[int]] = {}
        self._running: dict[tuple[str, int], None] = {}
        self._ready = asyncio.Event()
        self.ended = False
        self._opened = time.monotonic()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start it; it warms up by itself."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "shoal_worker.shell.zygote", str(theirs.fileno()),
                self._preload,
                pass_fds=(theirs.fileno(), *self._held),
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._task = asyncio.create_task(self._listen(self._reader))

    @property
    def ready(self) -> bool:
        """Whether it is warm, or has ended."""
        return self._ready.is_set()

    async def wait(self, patience: float) -> None:
        """Wait until it is `ready`, or `patience` seconds after its start."""
        left = self._opened + patience - time.monotonic()
        if not self.ready and left > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), left)

    def grown(self) -> bool:
        """Whether it holds much more memory than it did when it was warm."""
        return self._ready.is_set() and _memory(self._process.pid) > self._memory + GROWTH

    def outdated(self) -> bool:
        """Whether packages were installed or removed since it was started."""
        return _packages() != self._packages

    def retire(self) -> None:
        """Let it end with its last rank; at once, while it still warms up."""
        self._retired = True
        if not self.ready:
            self._process.kill()
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self._retired and not self._running and not self._started and self._writer is not None:
            self._writer.close()

    async def start(self, order: dict[str, Any]) -> int:
        """Fork a rank (`launcher.Spawn` as a dict, without `python`); returns its process id."""
        if self._writer is None:
            raise RuntimeError("the warm launcher is not open")
        key = (order["run_id"], order["rank"])
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._started[key] = future
        self._writer.write(json.dumps(order).encode() + b"\n")
        await self._writer.drain()
        return await future

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._hear(json.loads(line))
        self.ended = True
        self._ready.set()
        for future in self._started.values():
            if not future.done():
                future.set_exception(OSError("the warm launcher has ended"))
        for run_id, rank in list(self._running):
            self._on_exit(run_id, rank, -signal.SIGKILL)
        self._running.clear()

    def _hear(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._memory = _memory(self._process.pid)
            self._ready.set()
            return
        key = (message["run_id"], message["rank"])
        if "pid" in message:
            self._running[key] = None
            future = self._started.pop(key, None)
            if future is not None and not future.done():
                future.set_result(message["pid"])
        else:
            self._running.pop(key, None)
            self._on_exit(*key, message["exit"])
            self._leave_if_done()

    async def close(self) -> None:
        """End it, and all its ranks."""
        if self._writer is not None:
            self._writer.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 3)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._task is not None:
            self._task.cancel()


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _packages() -> list[tuple[str, int]]:
    """What is installed, as far as the times of its folders tell."""
    found = []
    for path in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError):
            if path.endswith("-packages"):
                found.append((path, Path(path).stat().st_mtime_ns))
    return found
