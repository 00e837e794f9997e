"""Starting ranks: forked from a warm process where possible, else from nothing."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from shoal_worker.shell import leash

log = logging.getLogger(__name__)

OnExit = Callable[[str, int, int], None]
"""Called with run id, rank and exit code (negative: the signal)."""
PYTHON = ("python", "python3")
"""Commands that mean the worker's own interpreter."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """One rank to start."""

    run_id: str
    rank: int
    arguments: list[str]
    """The whole command, e.g. `["python", "train.py"]`."""
    folder: str
    env: dict[str, str]
    """The rank's whole environment."""
    stdout: str
    stderr: str


@dataclass(slots=True)
class Launcher:
    """Starts ranks and tells of their ends."""

    on_exit: OnExit
    warm: bool = True
    env: dict[str, str] = field(default_factory=dict)
    """The warm process's own environment."""
    _zygote: "_Zygote | None" = None
    _pids: dict[tuple[str, int], int] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def open(self) -> None:
        """Begin to warm up, if so wished. Ranks can be started at once all the same."""
        if self.warm:
            self._zygote = _Zygote(self._exited, self.env)
            await self._zygote.open()

    async def close(self) -> None:
        """Kill every rank and the warm process."""
        for run_id, _ in list(self._pids):
            self.kill(run_id)
        if self._zygote is not None:
            await self._zygote.close()

    async def start(self, spawn: Spawn) -> int:
        """Start a rank; returns its process id."""
        if self._zygote is not None and _forkable(spawn) and await self._zygote.usable():
            pid = await self._zygote.start(spawn)
        else:
            pid = await self._start_cold(spawn)
        self._pids[spawn.run_id, spawn.rank] = pid
        return pid

    async def _start_cold(self, spawn: Spawn) -> int:
        arguments = spawn.arguments
        if arguments[0] in PYTHON:
            arguments = [sys.executable, *arguments[1:]]
        reading, held = os.pipe()
        try:
            with _appending(spawn.stdout) as out, _appending(spawn.stderr) as err:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-S", leash.__file__, str(reading), *arguments,
                    cwd=spawn.folder,
                    env=spawn.env,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    pass_fds=(reading,),
                )  # fmt: skip
        except BaseException:
            os.close(held)
            raise
        finally:
            os.close(reading)

        async def wait() -> None:
            code = await process.wait()
            os.close(held)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self._exited(spawn.run_id, spawn.rank, code)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return process.pid

    def kill(self, run_id: str) -> None:
        """Kill the ranks of a run that still live, and all that they started."""
        for (its_run, _), pid in self._pids.items():
            if its_run == run_id:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def _exited(self, run_id: str, rank: int, code: int) -> None:
        self._pids.pop((run_id, rank), None)
        self.on_exit(run_id, rank, code)


def _forkable(spawn: Spawn) -> bool:
    """Whether the warm process can run it: a script or a module, without flags for Python."""
    command, first = spawn.arguments[0], spawn.arguments[1:2]
    return command in PYTHON and first != [] and (first == ["-m"] or first[0][:1] != "-")


def _appending(path: str) -> BinaryIO:
    return Path(path).open("ab")


class _Zygote:
    """The worker's end of the warm process (`zygote.py`)."""

    def __init__(self, on_exit: OnExit, env: dict[str, str]) -> None:
        self._on_exit, self._env = on_exit, env
        self._started: dict[tuple[str, int], asyncio.Future[int]] = {}
        self._running: dict[tuple[str, int], None] = {}
        self._ready = asyncio.Event()
        self._gone = False
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "shoal_worker.shell.zygote", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._task = asyncio.create_task(self._listen(self._reader))

    async def usable(self) -> bool:
        """Whether it is there; waits while it warms up."""
        await self._ready.wait()
        return not self._gone

    async def start(self, spawn: Spawn) -> int:
        if self._writer is None:
            raise RuntimeError("the warm launcher is not open")
        key = (spawn.run_id, spawn.rank)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._started[key] = future
        order = {**asdict(spawn), "arguments": spawn.arguments[1:]}
        self._writer.write(json.dumps(order).encode() + b"\n")
        await self._writer.drain()
        return await future

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._hear(json.loads(line))
        self._gone = True
        self._ready.set()
        for future in self._started.values():
            if not future.done():
                future.set_exception(OSError("the warm launcher has ended"))
        for run_id, rank in list(self._running):
            self._on_exit(run_id, rank, -signal.SIGKILL)
        self._running.clear()

    def _hear(self, message: dict[str, Any]) -> None:
        if "ready" in message:
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

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 3)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._task is not None:
            self._task.cancel()
