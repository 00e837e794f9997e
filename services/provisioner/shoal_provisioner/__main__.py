"""The provisioner as a process."""

import asyncio
import sys
from collections.abc import Sequence

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.host import Host, Input
from shoal_bus.service import run_service
from shoal_contract import subjects
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.messages import PoolsRead
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.prices import FREE, Prices
from shoal_provisioner.core.state import State
from shoal_provisioner.settings import Settings, environment
from shoal_provisioner.shell.drivers.base import Driver
from shoal_provisioner.shell.drivers.local import LocalDriver
from shoal_provisioner.shell.drivers.ssh import HostsError, SshDriver, read_hosts
from shoal_provisioner.shell.pools import PoolsError, check_prices, read_pools, read_prices
from shoal_provisioner.shell.reconcile import Reconciler

EVENTS = (
    "pool", "demand", "allocation.granted", "allocation.run_settled", "allocation.progressed",
)  # fmt: skip
INPUTS = [
    Input(subjects.SCHEDULE, [subjects.all_of(event) for event in EVENTS]),
    Input(subjects.RUNS, [subjects.all_of("checkpoint")]),
    Input(subjects.SEARCH, [subjects.all_of("search"), subjects.all_of("trial")]),
    Input(subjects.POOL_REQUESTS),
]


async def main(settings: Settings, pools: Sequence[Pool], prices: Prices = FREE) -> None:
    """Decide and carry out until told to end."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="provisioner", replica=settings.replica)
    )
    decider = ProvisionerDecider(pools, prices)
    drivers = _drivers(settings, pools)
    reconciler = Reconciler(
        list(drivers.values()),
        lambda pool, zone: (
            drivers[decider.pools[pool].driver]
            if pool in decider.pools
            else drivers.get(zone, list(drivers.values())[-1])
        ),  # it is configured no more
    )

    async def led(state: State) -> None:
        await reconciler.led(state)
        host.tell(PoolsRead())

    host = Host(
        bus,
        decider,
        subjects.INSTANCES,
        INPUTS,
        on_commit=reconciler.committed,
        on_lead=led,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(host.run())
            tasks.create_task(reconciler.run(host))
            if "gcp" in drivers:
                from shoal_provisioner.shell.cloud import CloudWords

                words = CloudWords(drivers["gcp"], decider.offers)  # type: ignore[arg-type]
                tasks.create_task(words.run(host))
    finally:
        await bus.close()


def _prices(settings: Settings, pools: Sequence[Pool]) -> Prices:
    """The table of prices, with the catalogue's where that is asked for. Raises PoolsError."""
    if settings.prices != "catalogue":
        return read_prices(settings.prices)
    table = read_prices("")
    try:
        from shoal_provisioner.shell.drivers.gcp.catalogue import with_list_prices
    except ImportError as error:
        raise PoolsError(f"SHOAL_PRICES=catalogue needs shoal-provisioner[gcp]: {error}") from error
    return with_list_prices(pools, table, settings.billing_endpoint, settings.compute_endpoint)


def _drivers(settings: Settings, pools: Sequence[Pool]) -> dict[str, Driver]:
    """Drivers by name: those that the pools need, and the local one, which costs nothing."""
    gpus = {kind.name for pool in pools for kind in pool.kinds if kind.gpu}
    found: dict[str, Driver] = {
        "local": LocalDriver(settings.state_dir, settings.nats_url, environment(), gpus=gpus)
    }
    for pool in pools:
        if pool.ssh is not None and "ssh" not in found:
            hosts = read_hosts(pool.ssh.hosts)
            token = settings.join_token.get_secret_value()
            found["ssh"] = SshDriver(settings.cluster, pool.ssh.worker_nats_url, hosts, token)
    clouds = {pool.name: pool for pool in pools if pool.driver == "gcp"}
    if clouds:  # its libraries take seconds to import
        from shoal_provisioner.shell.drivers.gcp.api import Compute
        from shoal_provisioner.shell.drivers.gcp.driver import GcpDriver

        def connect(project: str) -> Compute:
            return Compute(project, settings.compute_endpoint)

        found["gcp"] = GcpDriver(
            settings.cluster, clouds, connect, settings.join_token.get_secret_value()
        )
    return found


if __name__ == "__main__":
    found = Settings()
    try:
        its_pools = read_pools(found.pools)
        its_prices = _prices(found, its_pools)
        check_prices(its_pools, its_prices)
        for its in its_pools:
            if its.ssh is not None:
                read_hosts(its.ssh.hosts)
    except (PoolsError, HostsError) as error:
        sys.exit(f"shoal-provisioner: {error}")
    run_service(lambda: main(found, its_pools, its_prices), "provisioner", found.replica)
