"""The searcher as a process."""

import asyncio

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.host import Host, Input
from shoal_bus.service import run_service
from shoal_contract import subjects
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.settings import Settings
from shoal_searcher.shell.sampling import Sampling
from shoal_searcher.shell.warmth import Warmth


async def main(settings: Settings) -> None:
    """Decide until told to end."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="searcher", replica=settings.replica)
    )
    sampling = Sampling(Warmth(bus))
    host = Host(
        bus,
        SearcherDecider(),
        subjects.SEARCH,
        [
            Input(subjects.EXPERIMENTS),
            Input(subjects.VALIDATION),
            Input(subjects.RUNS, [subjects.all_of("checkpoint.saved")]),
            Input(
                subjects.SCHEDULE,
                [subjects.all_of("allocation.granted"), subjects.all_of("allocation.ended")],
            ),
        ],
        on_commit=sampling.committed,
        on_lead=sampling.led,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(host.run())
            tasks.create_task(sampling.run(host))
    finally:
        await bus.close()


if __name__ == "__main__":
    found = Settings()
    run_service(lambda: main(found), "searcher", found.replica)
