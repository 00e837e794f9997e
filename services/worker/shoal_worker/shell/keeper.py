"""Removes checkpoints that nobody needs any more (see `core.keeping`).

While an experiment has runs here, those of their trials; when it is over, all of it: the searcher's
word is delivered to one worker of all, and again to another if that one dies. So is what people ask
for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from shoal.training.checkpoints import Folder
from shoal_bus.bus import Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.consume import Consumer, Delivery
from shoal_contract import subjects
from shoal_contract.events import CheckpointChangeRequested, CheckpointRemoved
from shoal_contract.ids import event_id
from shoal_worker.core.keeping import Ledger
from shoal_worker.core.state import Run

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two looks at an experiment that goes on."""
SEARCH = ("search.accepted", "search.completed", "search.failed", "search.cancelled")
TRIALS = ("trial.created", "trial.checkpointed", "trial.completed", "trial.stopped",
          "trial.cancelled", "trial.failed")  # fmt: skip
ASKED = "experiment.checkpoint_change_requested"
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
            subjects.RUNS: ("checkpoint.saved", "checkpoint.removed", "run.accepted", "run.exited"),
            subjects.VALIDATION: ("metric.validation",),
            subjects.EXPERIMENTS: (ASKED,),  # last: a pin counts at once
        }
        self._consumers = [
            Consumer(bus, stream, filters=[subjects.all_of(k, experiment_id) for k in kinds])
            for stream, kinds in streams.items()
        ]

    async def catch_up(self) -> Ledger:
        """Read to the end of each stream, as it is now."""
        for consumer in self._consumers:
            while await consumer.waiting():
                stop_if_cancelled()
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
        await asyncio.gather(
            self._running(),
            self._each(subjects.SEARCH, "keeper", SEARCH[1:], self._sweep),
            self._each(subjects.EXPERIMENTS, "keeper-asked", (ASKED,), self._obey),
        )

    async def _running(self) -> None:
        while True:
            stop_if_cancelled()
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
            await self._removed(experiment_id, await reader.catch_up(), its)

    async def _each(
        self,
        stream: subjects.Stream,
        durable: str,
        kinds: Iterable[str],
        work: Callable[[Delivery], Awaitable[None]],
    ) -> None:
        """Have one worker of all do `work` for each event of these kinds."""
        filters = [subjects.all_of(kind) for kind in kinds]
        consumer = Consumer(self.bus, stream, durable=durable, filters=filters, batch=1)
        async for batch in consumer.batches():
            for delivery in batch:
                try:
                    await work(delivery)
                except Exception as error:
                    log.warning("checkpoints could not be removed: %r", error)
                    await delivery.nak(INTERVAL)

    async def _sweep(self, delivery: Delivery) -> None:
        """An experiment is over."""
        experiment_id = delivery.envelope.event.key_values[0]
        ledger = await self._ledger(experiment_id)
        if ledger.runs and delivery.deliveries < LEAVING:
            await delivery.nak(INTERVAL)
            return
        await self._removed(experiment_id, ledger, None, delivery)
        await delivery.ack()

    async def _obey(self, delivery: Delivery) -> None:
        """A person asked for something. What a trial still needs goes with a later look."""
        asked = delivery.envelope.event
        if isinstance(asked, CheckpointChangeRequested) and asked.change != "pin":
            ledger = await self._ledger(asked.experiment_id)
            its = None if ledger.over and not ledger.runs else (asked.trial_id,)
            await self._removed(asked.experiment_id, ledger, its, delivery)
        await delivery.ack()

    async def _ledger(self, experiment_id: str) -> Ledger:
        reader = Reader(self.bus, experiment_id)
        try:
            return await reader.catch_up()
        finally:
            await reader.close()

    async def _removed(
        self,
        experiment_id: str,
        ledger: Ledger,
        trials: Iterable[str] | None,
        delivery: Delivery | None = None,
    ) -> None:
        for trial_id, checkpoint in ledger.garbage(trials):
            if await asyncio.to_thread(Folder(checkpoint.url).remove):
                log.info("removed the checkpoint %s", checkpoint.url)
            event = CheckpointRemoved(
                experiment_id=experiment_id, trial_id=trial_id, url=checkpoint.url
            )
            await self.bus.publish(event, id=event_id("removed", checkpoint.url, checkpoint.step))
            ledger.forget(checkpoint.url)
            if delivery is not None:
                await delivery.in_progress()
