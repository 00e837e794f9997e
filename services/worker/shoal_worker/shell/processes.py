"""Carries the core's decisions on runs out: files, processes, ends."""

import asyncio
import logging
import os
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shoal_bus.host import Host
from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    NodeLeft,
    NodeNoticed,
    RankExited,
    RunAccepted,
    RunExited,
    RunOrder,
    RunStopping,
    Slot,
)
from shoal_contract.line import ERROR_VARIABLE, SOCKET_VARIABLE, TOKEN_VARIABLE
from shoal_contract.states import StopReason
from shoal_worker.core.messages import RankEnded, RanksStarted, StartFailed
from shoal_worker.core.state import State
from shoal_worker.shell import containers, last_words, variables
from shoal_worker.shell.containers import Box, Boxing
from shoal_worker.shell.launcher import Launcher, Spawn
from shoal_worker.shell.line import Line
from shoal_worker.shell.logs import LogTail, Rates
from shoal_worker.shell.private import Private
from shoal_worker.shell.staging import StagingError, stage

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Processes:
    """Follows what was decided on runs, and does it."""

    state_dir: Path
    slots: Sequence[Slot]
    base_env: Mapping[str, str]
    """What every rank's environment begins with."""
    limits: dict[str, int] = field(default_factory=dict)
    """Of each rank; see `isolation.limits`."""
    rates: Rates = field(default_factory=Rates)
    """Of what each rank writes."""
    boxing: Boxing = field(default_factory=Boxing)
    """How ranks get into containers."""
    nic: str = ""
    """The network interface at which ranks meet; empty: the libraries choose."""
    private: Private | None = None
    """What ranks are told besides."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker has left the cluster."""
    host: Host[State] | None = None
    line: Line | None = None
    launcher: Launcher | None = None
    _stopping: dict[str, RunStopping] = field(default_factory=dict)
    """Runs that were told to stop."""
    _done: dict[str, asyncio.Event] = field(default_factory=dict)
    _tails: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _cleaning: set["asyncio.Task[None]"] = field(default_factory=set)

    async def committed(self, envelopes: Sequence[Envelope]) -> None:
        """React to what was decided."""
        for envelope in envelopes:
            match envelope.event:
                case RunAccepted() as event:
                    self._do(self._start(event.run))
                case RunStopping() as event:
                    self._stopping[event.run_id] = event
                    self._tell(event)
                    self._do(self._kill_at(event.run_id, event.until))
                case RankExited() as event:
                    log.info("rank %d of %s: exit %d", event.rank, event.run_id, event.exit_code)
                case RunExited() as event:
                    self._do(self._clean(event.run_id), cleaning=True)
                case NodeNoticed() as event:
                    self._do(self._kill_all_at(envelope.time + event.seconds))
                case NodeLeft():
                    self.left.set()
                case _:
                    pass
        self._parts()[1].wake()

    def exited(self, run_id: str, rank: int, code: int) -> None:
        """The launcher's word that a rank ended."""
        if self._parts()[0].leading.is_set():  # else the worker ends, and with it what it knows
            self._do(self._ended(run_id, rank, code))

    async def _ended(self, run_id: str, rank: int, code: int) -> None:
        host, line, _ = self._parts()
        logs = self.state_dir / "runs" / run_id / "logs"
        said = last_words.lines(logs / f"rank-{rank}.stderr") if code else []
        words, lost = self._engines(run_id, code, said)
        error, at = last_words.exception(logs / f"rank-{rank}.error") or ("", None)
        last = await line.settled(run_id) if rank == 0 else line.last.get(run_id)
        step, place = last or (None, None)
        host.tell(
            RankEnded(
                run_id=run_id,
                rank=rank,
                exit_code=code,
                tail=words or "".join(said[-1:]),
                lost=lost,
                error=error,
                failed_at=at,
                last_step=step,
                last_time=place,
            )
        )

    def _engines(self, run_id: str, code: int, said: Sequence[str]) -> tuple[str, bool]:
        """See `containers.failure`; nothing for a rank that is in none."""
        run = self._parts()[0].state.runs.get(run_id)
        boxed = run is not None and run.order.task.container is not None
        return containers.failure(code, said) if boxed else ("", False)

    def _parts(self) -> tuple[Host[State], Line, Launcher]:
        if self.host is None or self.line is None or self.launcher is None:
            raise RuntimeError("the worker is not wired up")
        return self.host, self.line, self.launcher

    def _do(self, work: Coroutine[Any, Any, None], cleaning: bool = False) -> None:
        task = asyncio.create_task(work)
        tasks = self._cleaning if cleaning else self._tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _start(self, order: RunOrder) -> None:
        host, line, launcher = self._parts()
        try:
            folder = await asyncio.to_thread(stage, self.state_dir, order.run_id, order.task.bundle)
            if order.run_id in self._stopping:
                raise StagingError("it was told to stop before it was started")
            line.records.open(order)
            token = line.admit(order)
            private = {} if self.private is None else await self.private.env(order.task)
            logs = folder.parent / "logs"
            pids = []
            for local in range(len(order.slots)):
                rank = order.first_rank + local
                spawn = Spawn(
                    run_id=order.run_id,
                    rank=rank,
                    arguments=order.task.entrypoint,
                    folder=str(folder),
                    env={**private, **self._env(order, local, token, logs)},
                    stdout=str(logs / f"rank-{rank}.stdout"),
                    stderr=str(logs / f"rank-{rank}.stderr"),
                    limits=self.limits,
                    preload=tuple(dict.fromkeys(order.task.preload)),
                )
                if order.task.container is not None:
                    spawn = self._boxed(order, spawn)
                pids.append(await launcher.start(spawn))
        except Exception as error:  # whatever it is, the run must not be left hanging
            log.warning("%s could not be started: %r", order.run_id, error)
            launcher.kill(order.run_id)
            host.tell(StartFailed(run_id=order.run_id, reason=str(error)))
            return
        self._done[order.run_id] = asyncio.Event()
        tail = LogTail(line.bus, order, logs, self.rates)
        self._tails[order.run_id] = asyncio.create_task(tail.follow(self._done[order.run_id]))
        host.tell(RanksStarted(run_id=order.run_id, pids=pids))
        stopping = self._stopping.get(order.run_id)
        if stopping is not None:  # since before all of its ranks were there
            self._tell(stopping)
            if stopping.until < time.time():
                launcher.kill(order.run_id)

    def _env(self, order: RunOrder, local: int, token: str, logs: Path) -> dict[str, str]:
        return {
            **({} if order.task.container is not None else self.base_env),
            **variables.of_rank(order, local, self._devices(order), self.nic),
            SOCKET_VARIABLE: self._parts()[1].path,
            TOKEN_VARIABLE: token,
            ERROR_VARIABLE: str(logs / f"rank-{order.first_rank + local}.error"),
        }

    def _devices(self, order: RunOrder) -> list[Slot]:
        return [s for s in self.slots if s.number in order.slots and s.kind == "cuda"]

    def _boxed(self, order: RunOrder, spawn: Spawn) -> Spawn:
        """The same rank, in a container. Raises EngineError where there can be none."""
        wanted, boxing = order.task.container, self.boxing
        if wanted is None:
            return spawn
        engine = containers.find(wanted.runtime, boxing.preferred, boxing.own.get("PATH", ""))
        stored = containers.local(order.task.storage_url)
        for folder in stored:
            Path(folder).mkdir(parents=True, exist_ok=True)
        run_folder = Path(spawn.folder).parent
        box = Box(
            name=f"shoal-{spawn.run_id}-{spawn.rank}",
            image=wanted.image,
            arguments=spawn.arguments,
            folder=spawn.folder,
            env=spawn.env,
            writable=[str(run_folder), str(Path(self._parts()[1].path).parent), *stored],
            readable=boxing.mounts,
            devices=self._devices(order),
            user=(os.getuid(), os.getgid()),
            memory=self.limits.get("data", 0),
            files=self.limits.get("nofile", 1024),
        )
        return replace(
            spawn,
            arguments=containers.run(engine, box, boxing.own),
            env=containers.outer(box, boxing.own),
            limits={},
            container=(engine, box.name),
        )

    def _tell(self, stopping: RunStopping) -> None:
        """Tell ranks to end that do not listen to the line. Those of a broken gang are killed soon,
        and after one of its runs completed they may be about to."""
        if stopping.reason is not StopReason.GANG_BROKEN:
            _, line, launcher = self._parts()
            run_id, left = stopping.run_id, stopping.until - time.time()
            launcher.stop(run_id, left, line.listening(run_id))

    async def _kill_at(self, run_id: str, until: float) -> None:
        await asyncio.sleep(max(0.0, until - time.time()))
        self._parts()[2].kill(run_id)

    async def _kill_all_at(self, until: float) -> None:
        await asyncio.sleep(max(0.0, until - time.time()))
        host, _, launcher = self._parts()
        for run_id in list(host.state.runs):
            launcher.kill(run_id)

    async def _clean(self, run_id: str) -> None:
        self._stopping.pop(run_id, None)
        line = self._parts()[1]
        line.dismiss(run_id)
        done = self._done.pop(run_id, None)
        if done is not None:
            done.set()
            await self._tails.pop(run_id)
        await line.records.close(run_id)

    async def flush(self) -> None:
        """Wait until the logs of what has ended are published and stored."""
        await asyncio.gather(*self._cleaning, return_exceptions=True)
