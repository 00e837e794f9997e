"""The searcher as a process."""

import asyncio

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.host import Host, Input
from shoal_bus.service import run_service
from shoal_bus.sharing import Sharded, Sharing
from shoal_contract import subjects
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.core.state import State
from shoal_searcher.settings import Settings
from shoal_searcher.shell.sampling import Samplers, Sampling
from shoal_searcher.shell.warmth import Warmth

INPUTS = (
    Input(subjects.EXPERIMENTS),
    Input(subjects.VALIDATION),
    Input(subjects.RUNS, [subjects.all_of("checkpoint.saved")]),
    Input(
        subjects.SCHEDULE,
        [subjects.all_of("allocation.granted"), subjects.all_of("allocation.ended")],
    ),
    Input(subjects.INSTANCES, [subjects.all_of("instance.experiment_budget_crossed")]),
)


async def main(settings: Settings) -> None:
    """Decide until told to end."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="searcher", replica=settings.replica)
    )
    samplers = Samplers(settings.samplers)
    try:
        if settings.shards == 1:
            await _decide(bus, samplers, SearcherDecider())
        else:
            sharing = Sharing(
                bus,
                SearcherDecider.name,
                settings.shards,
                lambda shard: _decide(bus, samplers, Sharded(SearcherDecider(), shard)),
            )
            await sharing.run()
    finally:
        samplers.close()
        await bus.close()


async def _decide(bus: Bus, samplers: Samplers, decider: SearcherDecider | Sharded[State]) -> None:
    """Decide on all experiments, or on those of one shard."""
    sampling = Sampling(samplers, Warmth(bus))
    host = Host(
        bus,
        decider,
        subjects.SEARCH,
        INPUTS,
        on_commit=sampling.committed,
        on_lead=sampling.led,
        durable=decider.name,
        mark=decider.mark if isinstance(decider, Sharded) else None,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(host.run())
        tasks.create_task(sampling.run(host))


if __name__ == "__main__":
    found = Settings()
    run_service(lambda: main(found), "searcher", found.replica)
