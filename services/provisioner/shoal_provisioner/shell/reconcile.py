"""Carries the core's decisions out, and tells it what became of the machines."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoal_bus.host import Host
from shoal_contract.envelope import Envelope
from shoal_contract.states import InstanceState
from shoal_provisioner.core.messages import MachineFailed, MachineGone, MachineStarted
from shoal_provisioner.core.state import Instance, State
from shoal_provisioner.shell.drivers.base import Driver, StartError

log = logging.getLogger(__name__)

GRACE = 40.0
"""Seconds that a machine gets to end by itself: a worker's runs checkpoint in that time."""


@dataclass(slots=True)
class Reconciler:
    """Brings the machines to what the state says: after each commit, and twice a second.

    It compares instead of reacting to single events, so what a crash left undone is done later.
    """

    drivers: Mapping[str, Driver]
    """Pool to driver."""
    interval: float = 0.5
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Instance to the work that is under way for it."""

    async def committed(self, _envelopes: Sequence[Envelope]) -> None:
        """Something was decided: look at once."""
        self._wake.set()

    async def run(self, host: Host[State]) -> None:
        """Compare and act, for ever, while the host leads."""
        while True:
            await host.leading.wait()
            running = {pool: await d.running() for pool, d in self.drivers.items()}
            if host.leading.is_set():
                for instance in list(host.state.instances.values()):
                    self._look_at(host, instance, running.get(instance.pool, set()))
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), self.interval)
            except TimeoutError:
                continue

    def _look_at(self, host: Host[State], instance: Instance, running: set[str]) -> None:
        name, driver = instance.instance_id, self.drivers.get(instance.pool)
        if name in self._busy or driver is None:
            return
        if instance.state is InstanceState.REQUESTED:
            self._do(name, self._start(host, driver, instance))
        elif instance.state is InstanceState.STOPPING:
            self._do(name, self._stop(host, driver, instance))
        elif name not in running:
            host.tell(
                MachineGone(pool=instance.pool, instance_id=name, reason="it vanished"),
                id=f"gone-{name}",
            )

    def _do(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._busy[name] = task
        task.add_done_callback(lambda _: self._busy.pop(name, None))

    async def _start(self, host: Host[State], driver: Driver, instance: Instance) -> None:
        ids = {"pool": instance.pool, "instance_id": instance.instance_id}
        try:
            await driver.start(instance.pool, instance.instance_id, instance.slots)
        except StartError as error:
            log.warning("%s", error)
            await host.told(MachineFailed(**ids, reason=str(error)))
        else:
            await host.told(MachineStarted(**ids))

    async def _stop(self, host: Host[State], driver: Driver, instance: Instance) -> None:
        await driver.stop(instance.instance_id, GRACE)
        await host.told(
            MachineGone(
                pool=instance.pool, instance_id=instance.instance_id, reason="it was stopped"
            )
        )
