"""Which experiments were deleted: known before anything else is written to the read models.

Streams are applied side by side, and those that are filled anew are read from their beginnings. So
what the others say of an experiment may be read long before, or after, its deletion is.
"""

from shoal_bus.bus import Bus
from shoal_bus.history import read_all
from shoal_contract.events import ExperimentDeleted, TrackingExperimentCreated
from shoal_contract.subjects import EXPERIMENTS, TRACKING, all_of
from shoal_gateway.shell.redis_store import RedisStore


async def know_deleted(bus: Bus, store: RedisStore) -> None:
    """Tell the read models, unless they know, which experiments were deleted so far; those of
    MLflow's kind, too, that their trials had made. Raises RedisError, and one of AWAY."""
    if await store.knows_deleted():
        return
    said = await read_all(bus, EXPERIMENTS, [all_of(ExperimentDeleted.type)])
    names = [e.event.experiment_id for e in said if isinstance(e.event, ExperimentDeleted)]
    if names:
        gone = set(names)
        made = await read_all(bus, TRACKING, [all_of(TrackingExperimentCreated.type)])
        names += [
            e.event.experiment_id
            for e in made
            if isinstance(e.event, TrackingExperimentCreated) and e.event.within in gone
        ]
    await store.know_deleted(names)
