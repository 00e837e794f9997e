"""The scheduler as a process."""

import asyncio
import sys

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.host import Host, Input
from shoal_bus.service import run_service
from shoal_contract import subjects
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.pools import Pools
from shoal_scheduler.settings import Settings
from shoal_scheduler.shell.liveness import watch
from shoal_scheduler.shell.memory import collect_seldom
from shoal_scheduler.shell.pools import PoolsError, read_pools


async def main(settings: Settings, pools: Pools | None = None) -> None:
    """Decide until told to end."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="scheduler", replica=settings.replica)
    )
    host = Host(
        bus,
        SchedulerDecider(pools),
        subjects.SCHEDULE,
        [
            Input(subjects.SEARCH, [subjects.all_of("trial")]),
            Input(
                subjects.RUNS,
                [
                    subjects.all_of("node"),
                    subjects.all_of("run.exited"),
                    subjects.all_of("checkpoint.saved"),
                ],
            ),
            Input(subjects.VALIDATION),
            Input(
                subjects.EXPERIMENTS,
                [
                    subjects.all_of("experiment.share_change_requested"),
                    subjects.all_of("experiment.trial_move_requested"),
                ],
            ),
            Input(subjects.POOL_REQUESTS, [subjects.all_of("resource_pool.drain_requested")]),
        ],
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(host.run())
            tasks.create_task(watch(bus, host, settings.node_timeout))
    finally:
        await bus.close()


if __name__ == "__main__":
    collect_seldom()
    found = Settings()
    try:
        sharing = read_pools(found.sharing)
    except PoolsError as error:
        sys.exit(f"shoal: {error}")
    run_service(lambda: main(found, sharing), "scheduler", found.replica)
