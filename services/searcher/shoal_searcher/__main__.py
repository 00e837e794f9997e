"""The searcher as a process."""

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.host import Host, Input
from shoal_bus.service import run_service
from shoal_contract import subjects
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.settings import Settings


async def main(settings: Settings) -> None:
    """Decide until told to end."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="searcher", replica=settings.replica)
    )
    host = Host(
        bus,
        SearcherDecider(),
        subjects.SEARCH,
        [
            Input(subjects.EXPERIMENTS),
            Input(subjects.VALIDATION),
            Input(subjects.RUNS, [subjects.all_of("checkpoint.saved")]),
            Input(subjects.SCHEDULE, [subjects.all_of("allocation.ended")]),
        ],
    )
    try:
        await host.run()
    finally:
        await bus.close()


if __name__ == "__main__":
    found = Settings()
    run_service(lambda: main(found), "searcher", found.replica)
