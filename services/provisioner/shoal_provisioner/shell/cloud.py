"""What Google Cloud has to tell beside its driver's answers: preemptions and advice."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shoal_bus.host import Host
from shoal_provisioner.core.messages import MachinePreempted
from shoal_provisioner.core.offers import Offer
from shoal_provisioner.core.state import State
from shoal_provisioner.shell.drivers.gcp.advice import advice
from shoal_provisioner.shell.drivers.gcp.driver import GcpDriver
from shoal_provisioner.shell.notices import Notices


@dataclass(slots=True)
class CloudWords:
    """Hears and asks, for all pools of a driver."""

    driver: GcpDriver
    offers: Mapping[str, Sequence[Offer]]
    """By pool."""
    period: float = 300.0
    """Seconds between two questions for advice, while machines are wanted."""

    async def run(self, host: Host[State]) -> None:
        """For ever, from when the host leads for the first time."""
        await host.leading.wait()

        async def tell(instance_id: str, message_id: str) -> None:
            told = MachinePreempted(pool="", instance_id=instance_id, source="pubsub")
            await host.told(told, id=f"notice-{message_id}")

        found = {pool.gcp.subscription for pool in self.driver.pools.values() if pool.gcp}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask(host))
            for name in sorted(name for name in found if name):
                tasks.create_task(Notices(name, self.driver.cluster, tell).run())

    async def _ask(self, host: Host[State]) -> None:
        while True:
            await host.leading.wait()
            for pool in self.driver.pools.values():
                wanted = host.state.pool(pool.name).missing_slots
                if wanted and pool.gcp and pool.provisioning == "spot":
                    compute = self.driver.compute(pool.gcp.project)
                    for word in await advice(compute, pool, self.offers[pool.name], wanted):
                        host.tell(word)
            await asyncio.sleep(self.period)
