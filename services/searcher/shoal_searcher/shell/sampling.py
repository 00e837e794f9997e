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
from typing import Any

from shoal_bus.bus import AWAY
from shoal_bus.host import Host
from shoal_contract.envelope import Envelope
from shoal_searcher.core.methods import METHODS
from shoal_searcher.core.sampling import Ask, ask
from shoal_searcher.core.state import Experiment, State
from shoal_searcher.shell.warmth import Warmth

log = logging.getLogger(__name__)


class Sampler:
    """The process in which samplers compute, started when it is needed first."""

    def __init__(self) -> None:
        self._pool: Executor | None = None

    async def answer(self, question: Ask) -> list[dict[str, Any]]:
        """The sampler's proposals; none if it fails, so that draws take their place."""
        try:
            if self._pool is None:
                self._pool = _pool()
            return await asyncio.get_running_loop().run_in_executor(self._pool, _ask, question)
        except BrokenProcessPool:
            log.warning("the sampler's process ended; draws take the place of its proposals")
            self.close()
        except Exception:
            log.exception("the sampler %s failed on %s", question.sampler, question.experiment_id)
        return []

    def close(self) -> None:
        """Let the process end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


class Sampling:
    """Looks after each decision whether there is something to ask, asks it, and tells the host.
    The event loop never waits for a sampler."""

    def __init__(self, sampler: Sampler, warmth: Warmth) -> None:
        self._sampler, self._warmth, self._news = sampler, warmth, asyncio.Event()

    async def committed(self, _: Sequence[Envelope]) -> None:
        """Something was decided."""
        self._news.set()

    async def led(self, _: State) -> None:
        """This replica decides from now on."""
        self._news.set()

    async def run(self, host: Host[State]) -> None:
        """Ask and tell, for ever."""
        while True:
            await self._news.wait()
            await host.leading.wait()
            self._news.clear()
            for experiment_id in list(host.state.experiments):
                try:
                    await self._serve(host, experiment_id)
                except AWAY as error:
                    log.info("%s has to wait (%r)", experiment_id, error)
                    await asyncio.sleep(0.5)
                    self._news.set()

    async def _serve(self, host: Host[State], experiment_id: str) -> None:
        experiment = _current(host, experiment_id)
        if experiment is not None and (found := await self._warmth.find(experiment)) is not None:
            await host.told(found)
        experiment = _current(host, experiment_id)
        if experiment is None or (question := asks(experiment)) is None:
            return
        await host.told(question.reply(await self._sampler.answer(question)))


def _current(host: Host[State], experiment_id: str) -> Experiment | None:
    return host.state.experiments.get(experiment_id) if host.leading.is_set() else None


def asks(experiment: Experiment) -> Ask | None:
    """What to ask a sampler now, if anything."""
    plans = METHODS[experiment.config.searcher.name].brackets(experiment)
    return ask(experiment, sum(plan.max_trials for plan in plans))


def _ask(question: Ask) -> list[dict[str, Any]]:
    from shoal_searcher.shell.samplers import answer  # Optuna is loaded in the child alone

    return answer(question)


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
