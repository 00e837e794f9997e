"""Starting ranks: forked from a warm process where possible, else from nothing."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from shoal_worker.shell import leash
from shoal_worker.shell.containers import Engine, signal_of
from shoal_worker.shell.preloaded import Preloaded
from shoal_worker.shell.warm import OnExit, WarmProcess

log = logging.getLogger(__name__)

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
    _warm: WarmProcess | None = None
    _next: WarmProcess | None = None
    """Warming up, to take its place."""
    _preloaded: Preloaded = field(init=False)
    _pids: dict[tuple[str, int], int] = field(default_factory=dict)
    _boxed: dict[tuple[str, int], tuple[Spawn, int]] = field(default_factory=dict)
    """Ranks in containers, and what holds the leash of each."""
    _let_go: set[tuple[str, int]] = field(default_factory=set)
    """Those whose leash was let go: it ends the container, and must live to do so."""
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._preloaded = Preloaded(self._made)

    async def open(self) -> None:
        """Begin to warm up, if so wished. Ranks can be started at once all the same."""
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
        forkable = self.warm and spawn.container is None and _forkable(spawn)
        warm = None
        if forkable:
            warm = await self._preloaded.find(spawn.preload) or await self._usable()
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
        serve at all; one that died is replaced, and meanwhile ranks are started from nothing.
        """
        current = self._warm
        if current is None:
            return None
        if self._next is None and (await current.gone() or current.grown() or current.outdated()):
            log.info("the warm process is replaced")
            self._next = await self._opened()
        if self._next is not None and (self._next.ready or current.outdated()):
            await self._next.gone()  # waits until it is warm
            self._warm, self._next = self._next, None
            current.retire()
            current = self._warm
        return None if await current.gone() else current

    async def _start_cold(self, spawn: Spawn) -> int:
        arguments = spawn.arguments
        if arguments[0] in PYTHON:
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
        if engine is not None:
            self._boxed[key] = spawn, held

        async def wait() -> None:
            code = await process.wait()
            if engine is None or self._boxed.pop(key, None) is not None:
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

    def stop(self, run_id: str, seconds: float) -> None:
        """Let the engine tell the containers of a run to end, and end them after `seconds`. Ranks
        beside the worker hear it by the line alone."""
        for (its_run, _), (spawn, _) in self._boxed.items():
            if its_run == run_id and spawn.container is not None:
                engine, name = spawn.container
                self._do(_run(engine.stop(name, max(0, round(seconds))), spawn.env))

    def kill(self, run_id: str) -> None:
        """Kill the ranks of a run that still live, and all that they started. The end of a
        container comes a moment later."""
        for key, pid in self._pids.items():
            if key[0] != run_id:
                continue
            if key in self._boxed:
                os.close(self._boxed.pop(key)[1])  # the leash does it
                self._let_go.add(key)
            if key in self._let_go:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _exited(self, run_id: str, rank: int, code: int) -> None:
        self._pids.pop((run_id, rank), None)
        self._let_go.discard((run_id, rank))
        self.on_exit(run_id, rank, code)


async def _run(command: list[str], env: dict[str, str]) -> None:
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdin=null, stdout=null, stderr=null, start_new_session=True
    )
    await process.wait()


def _forkable(spawn: Spawn) -> bool:
    """Whether the warm process can run it: a script or a module, without flags for Python."""
    command, first = spawn.arguments[0], spawn.arguments[1:2]
    return command in PYTHON and first != [] and (first == ["-m"] or first[0][:1] != "-")


def _appending(path: str) -> BinaryIO:
    return Path(path).open("ab")
