"""The provisioner as a process."""

import asyncio
import sys

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.host import Host, Input
from shoal_bus.service import run_service
from shoal_contract import subjects
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.settings import Settings, environment
from shoal_provisioner.shell.drivers.local import LocalDriver
from shoal_provisioner.shell.pools import PoolsError, read_pools
from shoal_provisioner.shell.reconcile import Reconciler


async def main(settings: Settings, pools: list[Pool]) -> None:
    """Decide and carry out until told to end."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="provisioner", replica=settings.replica)
    )
    driver = LocalDriver(settings.state_dir, settings.nats_url, environment())
    reconciler = Reconciler([driver], lambda _pool: driver)
    host = Host(
        bus,
        ProvisionerDecider(pools),
        subjects.INSTANCES,
        [Input(subjects.SCHEDULE, [subjects.all_of("pool"), subjects.all_of("demand")])],
        on_commit=reconciler.committed,
        on_lead=reconciler.led,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(host.run())
            tasks.create_task(reconciler.run(host))
    finally:
        await bus.close()


if __name__ == "__main__":
    found = Settings()
    try:
        its_pools = read_pools(found.pools)
    except PoolsError as error:
        sys.exit(f"shoal-provisioner: {error}")
    run_service(lambda: main(found, its_pools), "provisioner", found.replica)
