"""Removes checkpoints that nobody needs any more (see `core.keeping`).

While an experiment has runs here, those of their trials; when it is over, all of it: the searcher's
word is delivered to one worker of all, and again to another if that one dies.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from shoal.training.checkpoints import Folder
from shoal_bus.bus import Bus
from shoal_bus.consume import Consumer, Delivery
from shoal_contract import subjects
from shoal_contract.events import Checkpoint
from shoal_worker.core.keeping import Ledger
from shoal_worker.core.state import Run

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two looks at an experiment that goes on."""
SEARCH = ("search.accepted", "search.completed", "search.failed", "search.cancelled")
TRIALS = ("trial.created", "trial.checkpointed", "trial.completed", "trial.stopped",
          "trial.cancelled", "trial.failed")  # fmt: skip
LEAVING = 60
"""How often an experiment that is over is given `INTERVAL` for its last runs to end."""


class Reader:
    """Reads what concerns one experiment's checkpoints, from the start on."""

    def __init__(self, bus: Bus, experiment_id: str) -> None:
        self.ledger = Ledger()
        streams = {
            # In this order: what was reported before a checkpoint that the searcher knows of is
            # there when that is read.
            subjects.SEARCH: (*SEARCH, *TRIALS),
            subjects.RUNS: ("checkpoint.saved", "run.accepted", "run.exited"),
            subjects.VALIDATION: ("metric.validation",),
        }
        self._consumers = [
            Consumer(bus, stream, filters=[subjects.all_of(k, experiment_id) for k in kinds])
            for stream, kinds in streams.items()
        ]

    async def catch_up(self) -> Ledger:
        """Read to the end of each stream, as it is now."""
        for consumer in self._consumers:
            while await consumer.waiting():
                for delivery in await consumer.fetch(1.0):
                    self.ledger.note(delivery.envelope.event)
        return self.ledger

    async def close(self) -> None:
        """Read no more."""
        for consumer in self._consumers:
            await consumer.close()


@dataclass(slots=True)
class Keeper:
    """Looks after the checkpoints of the trials on this machine, and of experiments that end."""

    bus: Bus
    runs: Callable[[], Mapping[str, Run]]
    """The runs of this machine."""
    _readers: dict[str, Reader] = field(default_factory=dict)
    _dirty: dict[str, None] = field(default_factory=dict)
    """Experiments of which a run here has saved something."""

    def saved(self, experiment_id: str) -> None:
        """A run here has a new checkpoint."""
        self._dirty[experiment_id] = None

    async def run(self) -> None:
        """Keep order, for ever."""
        await asyncio.gather(self._running(), self._over())

    async def _running(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except Exception as error:  # storage and server have errors of their own
                log.warning("checkpoints could not be looked through: %r", error)

    async def look(self) -> None:
        """One look at the trials that run here."""
        trials: dict[str, dict[str, None]] = {}
        for run in self.runs().values():
            task = run.order.task
            if run.order.first_rank == 0 and task.experiment_id in self._dirty:
                trials.setdefault(task.experiment_id, {})[task.trial_id] = None
        for gone in [e for e in self._dirty if e not in trials]:
            del self._dirty[gone]
            if (reader := self._readers.pop(gone, None)) is not None:
                await reader.close()
        for experiment_id, its in trials.items():
            reader = self._readers.setdefault(experiment_id, Reader(self.bus, experiment_id))
            await _removed(await reader.catch_up(), its)

    async def _over(self) -> None:
        ends = [subjects.all_of(end) for end in SEARCH[1:]]
        consumer = Consumer(self.bus, subjects.SEARCH, durable="keeper", filters=ends, batch=1)
        async for batch in consumer.batches():
            for delivery in batch:
                try:
                    await self._sweep(delivery)
                except Exception as error:
                    log.warning("an experiment's checkpoints could not be removed: %r", error)
                    await delivery.nak(INTERVAL)

    async def _sweep(self, delivery: Delivery) -> None:
        experiment_id = delivery.envelope.event.key_values[0]
        reader = Reader(self.bus, experiment_id)
        try:
            ledger = await reader.catch_up()
        finally:
            await reader.close()
        if ledger.runs and delivery.deliveries < LEAVING:
            await delivery.nak(INTERVAL)
            return
        await _removed(ledger, None, delivery)
        await delivery.ack()


async def _removed(
    ledger: Ledger, trials: Iterable[str] | None, delivery: Delivery | None = None
) -> None:
    for checkpoint in ledger.garbage(trials):
        if await asyncio.to_thread(_remove, checkpoint):
            log.info("removed the checkpoint %s", checkpoint.url)
        ledger.forget(checkpoint)
        if delivery is not None:
            await delivery.in_progress()


def _remove(checkpoint: Checkpoint) -> bool:
    folder = Folder(checkpoint.url)
    return not folder.pinned() and folder.remove()
