"""Starting ranks: forked from a warm process where possible, else from nothing."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Collection, Coroutine
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from shoal_worker.core import forking
from shoal_worker.shell import leash
from shoal_worker.shell.containers import Engine, signal_of
from shoal_worker.shell.preloaded import Preloaded
from shoal_worker.shell.warm import OnExit, WarmProcess

log = logging.getLogger(__name__)


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
    limits: dict[str, int] = field(default_factory=dict)
    """See `isolation.limits`."""
    container: tuple[Engine, str] | None = None
    """The engine whose command this is, and the container's name."""
    preload: tuple[str, ...] = ()
    """Modules that the process that it is forked from should have imported."""


@dataclass(slots=True)
class Launcher:
    """Starts ranks and tells of their ends."""

    on_exit: OnExit
    warm: bool = True
    env: dict[str, str] = field(default_factory=dict)
    """The warm process's own environment."""
    held: tuple[int, ...] = ()
    """Files that every rank keeps open."""
    preload: str = ""
    """Further modules for the warm process, with commas between them."""
    patience: float = 60.0
    """Seconds from its start that ranks wait for the warm process."""
    _warm: WarmProcess | None = None
    _next: WarmProcess | None = None
    """Warming up, to take its place."""
    _choosing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _preloaded: Preloaded = field(init=False)
    _pids: dict[tuple[str, int], int] = field(default_factory=dict)
    _leashes: dict[tuple[str, int], int] = field(default_factory=dict)
    """Of ranks that were started from nothing: what holds the leash of each."""
    _boxed: dict[tuple[str, int], Spawn] = field(default_factory=dict)
    """Ranks in containers."""
    _told: set[tuple[str, int]] = field(default_factory=set)
    """Ranks that got SIGTERM."""
    _let_go: set[tuple[str, int]] = field(default_factory=set)
    """Those whose leash was let go: it ends the container, and must live to do so."""
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._preloaded = Preloaded(self._made)

    async def open(self) -> None:
        """Begin to warm up, if so wished. Ranks can be ordered at once: they wait for it as long as
        `patience` says."""
        if self.warm:
            self._warm = await self._opened()

    async def _opened(self) -> WarmProcess:
        made = self._made()
        await made.open()
        return made

    def _made(self, modules: str = "") -> WarmProcess:
        preload = ",".join(filter(None, (self.preload, modules)))
        return WarmProcess(self._exited, self.env, preload, self.held)

    async def close(self) -> None:
        """Kill every rank and the warm process."""
        for run_id in {run_id: None for run_id, _ in self._pids}:
            self.kill(run_id)
        for process in (self._warm, self._next):
            if process is not None:
                await process.close()
        await self._preloaded.close()

    async def start(self, spawn: Spawn) -> int:
        """Start a rank; returns its process id."""
        plain = self.warm and spawn.container is None
        forkable = plain and forking.possible(spawn.arguments, spawn.env, self.env)
        warm = None
        if forkable and (warm := await self._preloaded.find(spawn.preload)) is None:
            async with self._choosing:
                warm = await self._usable()
        if warm is not None:
            order = {**asdict(spawn), "arguments": spawn.arguments[1:]}
            pid = await warm.start(order)
        else:
            pid = await self._start_cold(spawn)
        self._pids[spawn.run_id, spawn.rank] = pid
        return pid

    async def _usable(self) -> WarmProcess | None:
        """The warm process to fork from; None: there is none now.

        One that has grown serves until another is warm; one whose packages were changed does not
        serve at all; one that died is replaced. Meanwhile, and while one takes longer than
        `patience` to warm up, ranks are started from nothing.
        """
        current = self._warm
        if current is None:
            return None
        await current.wait(self.patience)
        if self._next is None and (current.ended or current.grown() or current.outdated()):
            log.info("the warm process is replaced")
            self._next = await self._opened()
        if self._next is not None and current.outdated():
            await self._next.wait(self.patience)
        if self._next is not None and self._next.ready:
            self._warm, self._next = self._next, None
            current.retire()
            current = self._warm
        serves = current.ready and not current.ended and not current.outdated()
        return current if serves else None

    async def _start_cold(self, spawn: Spawn) -> int:
        arguments = spawn.arguments
        if arguments[0] in forking.PYTHON:
            arguments = [sys.executable, *arguments[1:]]
        engine, name = spawn.container or (None, "")
        after = engine.remove(name) if engine else []
        reading, held = os.pipe()
        try:
            with _appending(spawn.stdout) as out, _appending(spawn.stderr) as err:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-S", leash.__file__, str(reading),
                    json.dumps(spawn.limits), json.dumps(after), *arguments,
                    cwd=spawn.folder,
                    env=spawn.env,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    pass_fds=(reading, *self.held),
                )  # fmt: skip
        except BaseException:
            os.close(held)
            raise
        finally:
            os.close(reading)

        key = (spawn.run_id, spawn.rank)
        self._leashes[key] = held
        if engine is not None:
            self._boxed[key] = spawn

        async def wait() -> None:
            code = await process.wait()
            self._boxed.pop(key, None)
            if (held := self._leashes.pop(key, None)) is not None:
                os.close(held)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self._exited(*key, code if engine is None else signal_of(code))

        self._do(wait())
        return process.pid

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, run_id: str, seconds: float, listening: Collection[int]) -> None:
        """Tell the ranks of a run to end: those in containers by the engine, which ends them after
        `seconds`; the others by one SIGTERM, but for those that are `listening` to the line."""
        for key, pid in self._pids.items():
            if key[0] != run_id:
                continue
            if (spawn := self._boxed.get(key)) is not None and spawn.container is not None:
                engine, name = spawn.container
                self._do(_run(engine.stop(name, max(0, round(seconds))), spawn.env))
            elif key[1] not in listening and key not in self._told and key not in self._let_go:
                self._told.add(key)
                self._terminate(key, pid)

    def _terminate(self, key: tuple[str, int], pid: int) -> None:
        if (held := self._leashes.get(key)) is not None:
            with contextlib.suppress(OSError):  # it has just ended
                os.write(held, b"t")  # the leash passes it on
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def kill(self, run_id: str) -> None:
        """Kill the ranks of a run that still live, and all that they started. The end of a
        container comes a moment later."""
        for key, pid in self._pids.items():
            if key[0] != run_id:
                continue
            if key in self._boxed:
                del self._boxed[key]
                os.close(self._leashes.pop(key))  # the leash does it
                self._let_go.add(key)
            if key in self._let_go:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _exited(self, run_id: str, rank: int, code: int) -> None:
        self._pids.pop((run_id, rank), None)
        self._let_go.discard((run_id, rank))
        self._told.discard((run_id, rank))
        self.on_exit(run_id, rank, code)


async def _run(command: list[str], env: dict[str, str]) -> None:
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdin=null, stdout=null, stderr=null, start_new_session=True
    )
    await process.wait()


def _appending(path: str) -> BinaryIO:
    return Path(path).open("ab")
