"""What the searcher's surroundings say, and waiting for what it decides."""

import asyncio
import itertools
from typing import Any

from shoal_bus.history import read_all
from shoal_contract.events import (
    Checkpoint,
    CheckpointSaved,
    ExperimentSubmitted,
    ValidationReported,
)
from shoal_contract.ids import allocation_id
from shoal_contract.subjects import SEARCH, all_of

_COUNT = itertools.count()


async def becomes(bus: Any, kind: str, done: Any, *keys: str, seconds: float = 30) -> list[Any]:
    """The events of a type (and of an experiment, by `keys`), once `done` holds of them."""
    async with asyncio.timeout(seconds):
        while True:
            found = [e.event for e in await read_all(bus, SEARCH, [all_of(kind, *keys)])]
            if done(found):
                return found
            await asyncio.sleep(0.05)


async def say(bus: Any, event: Any) -> None:
    await bus.publish(event, id=f"said-{next(_COUNT)}")


async def submit(bus: Any, experiment_id: str, config: Any) -> None:
    await say(
        bus,
        ExperimentSubmitted(experiment_id=experiment_id, config=config, storage_url="file:///s"),
    )


async def report(bus: Any, trial_id: str, time: int, loss: float, **more: float) -> None:
    await say(
        bus,
        ValidationReported(
            experiment_id=trial_id.rpartition("-")[0], trial_id=trial_id, attempt=1, step=time,
            time=time, allocation_id=allocation_id(trial_id, 1),
            metrics={"loss": loss, **more}, at=0.0,
        ),
    )  # fmt: skip


async def save(bus: Any, trial_id: str, step: int) -> Checkpoint:
    found = Checkpoint(url=f"file:///s/{trial_id}/{step}", step=step, attempt=1)
    await say(
        bus,
        CheckpointSaved(
            experiment_id=trial_id.rpartition("-")[0], trial_id=trial_id,
            allocation_id=allocation_id(trial_id, 1), checkpoint=found,
        ),
    )  # fmt: skip
    return found
