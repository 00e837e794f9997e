"""Answers what the core cannot know by itself: a sampler's proposals, and what to start from."""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from shoal_bus.bus import AWAY
from shoal_bus.host import Host
from shoal_contract.envelope import Envelope
from shoal_searcher.core.messages import Proposals
from shoal_searcher.core.methods import METHODS
from shoal_searcher.core.sampling import AHEAD, Ask, SamplerError, ask, grounded
from shoal_searcher.core.state import Experiment, State
from shoal_searcher.shell.warmth import Warmth

log = logging.getLogger(__name__)
WORDS = 500
"""Characters at most of why a sampler failed."""
REMEMBERED = 1000
"""Experiments of which it is known in which process their study is."""


class Process:
    """A process in which samplers compute."""

    def __init__(self) -> None:
        self._pool: Executor | None = None

    @property
    def started(self) -> bool:
        """Whether it runs."""
        return self._pool is not None

    def start(self) -> Executor:
        """Let it run, and load Optuna, unless it does."""
        if self._pool is None:
            self._pool = _pool()
            self._pool.submit(_load)
        return self._pool

    async def answer(self, question: Ask) -> Proposals:
        """The sampler's proposals; none if it fails, so that draws take their place."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self.start(), _answer, question)
        except BrokenProcessPool:
            log.warning("the sampler's process ended; draws take the place of its proposals")
            self.close()
            return question.reply([], "its process ended")

    def close(self) -> None:
        """Let it end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


class Samplers:
    """So many processes, for the questions of all experiments. A question goes to the one that
    answered its experiment last, if that is free, since its study is there; else to any. Samplers
    that think long leave one to the others. The first is started at once, so that no search waits
    for it, the others when they are needed."""

    def __init__(self, processes: int) -> None:
        self._all = [Process() for _ in range(processes)]
        self._free = list(self._all)
        self._places = asyncio.Semaphore(processes)
        self._long = asyncio.Semaphore(max(1, processes - 1))
        self._last: dict[str, Process] = {}

    def start(self) -> None:
        """Have a process that is ready for the first question."""
        self._all[0].start()

    async def answer(self, question: Ask) -> Proposals:
        """The sampler's answer."""
        long = self._long if question.sampler in AHEAD else contextlib.nullcontext()
        async with long, self._places:
            process = self._choose(question.experiment_id)
            try:
                return await process.answer(question)
            finally:
                self._free.append(process)

    def _choose(self, experiment_id: str) -> Process:
        """Take a free process."""
        last = self._last.pop(experiment_id, None)
        running = [process for process in self._free if process.started]
        process = last if last in self._free else (running or self._free)[0]
        self._free.remove(process)
        self._last[experiment_id] = process
        if len(self._last) > REMEMBERED:
            self._last.pop(next(iter(self._last)))
        return process

    def close(self) -> None:
        """Let all end."""
        for process in self._all:
            process.close()


class Sampling:
    """Looks after each decision whether there is something to ask, asks it, and tells the host.
    Neither the event loop nor another experiment waits for a sampler."""

    def __init__(self, samplers: Samplers, warmth: Warmth) -> None:
        self._samplers, self._warmth, self._news = samplers, warmth, asyncio.Event()
        self._served = set[str]()

    async def committed(self, _: Sequence[Envelope]) -> None:
        """Something was decided."""
        self._news.set()

    async def led(self, _: State) -> None:
        """This replica decides from now on."""
        self._samplers.start()
        self._news.set()

    async def run(self, host: Host[State]) -> None:
        """Ask and tell, for ever, each experiment by itself."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._news.wait()
                await host.leading.wait()
                self._news.clear()
                for experiment in host.state.experiments.values():
                    if experiment.experiment_id in self._served:
                        continue
                    question = asks(experiment)
                    if question is not None or not grounded(experiment):
                        self._served.add(experiment.experiment_id)
                        tasks.create_task(self._serve(host, experiment, question))

    async def _serve(self, host: Host[State], experiment: Experiment, first: Ask | None) -> None:
        """Tell what an experiment starts from, and answer until there is nothing to ask."""
        experiment_id, question = experiment.experiment_id, first
        try:
            if (found := await self._warmth.find(experiment)) is not None:
                await host.told(found)
                question = _question(host, experiment_id)
            while question is not None:
                await host.told(await self._samplers.answer(question))
                question = _question(host, experiment_id)
        except AWAY as error:
            log.info("%s has to wait (%r)", experiment_id, error)
            await asyncio.sleep(0.5)
            self._news.set()
        finally:
            self._served.discard(experiment_id)


def _question(host: Host[State], experiment_id: str) -> Ask | None:
    leads = host.leading.is_set()
    experiment = host.state.experiments.get(experiment_id) if leads else None
    return None if experiment is None else asks(experiment)


def asks(experiment: Experiment) -> Ask | None:
    """What to ask a sampler now, if anything."""
    plans = METHODS[experiment.config.searcher.name].brackets(experiment)
    return ask(experiment, sum(plan.max_trials for plan in plans))


def _load() -> None:
    """In the child: load Optuna, which is loaded nowhere else."""
    import shoal_searcher.shell.samplers  # noqa: F401


def _answer(question: Ask) -> Proposals:
    """In the child: ask."""
    try:
        from shoal_searcher.shell.samplers import answer

        return question.reply(answer(question))
    except SamplerError as error:
        return question.reply([], str(error))
    except Exception as error:
        log.exception("the sampler %s failed on %s", question.sampler, question.experiment_id)
        return question.reply([], f"{type(error).__name__}: {error}"[:WORDS])


def _pool() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_begin)


def _begin() -> None:
    """In the child: end with the parent, however that ends, and not before."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _end_with(join: Callable[[], None]) -> None:
    with contextlib.suppress(OSError, ValueError):
        join()
    os._exit(0)
