"""Carries the core's decisions out, and tells it what became of the machines."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
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

    drivers: Sequence[Driver]
    """Each driver once."""
    driver_of: Callable[[str], Driver]
    """The driver of a pool, also of one that is not configured any more."""
    interval: float = 0.5
    patience: float = 10.0
    """Seconds for which a machine must be unknown before it is stopped: longer than a replica may
    believe that it leads after another one took over."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Instance to the work that is under way for it."""
    _absent: set[str] = field(default_factory=set)
    """Those that were not found at the last look: once may be a race, twice is not."""

    _strays: dict[str, float] = field(default_factory=dict)
    """Machines that run and that the state does not know, to when that was first seen."""

    async def committed(self, _envelopes: Sequence[Envelope]) -> None:
        """Something was decided: look at once."""
        self._wake.set()

    async def led(self, _state: State) -> None:
        """This replica leads from now on: look at once at what an earlier one left undone."""
        self._absent.clear()
        self._strays.clear()
        self._wake.set()

    async def run(self, host: Host[State]) -> None:
        """Compare and act, for ever, while the host leads."""
        while True:
            await host.leading.wait()
            try:
                running = [(driver, await driver.running()) for driver in self.drivers]
            except Exception:
                log.exception("the machines cannot be listed")
            else:
                if host.leading.is_set():
                    self._look(host, running)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.interval):  # wait_for may lose a cancellation
                    await self._wake.wait()

    def _look(self, host: Host[State], running: Sequence[tuple[Driver, set[str]]]) -> None:
        known = host.state.instances
        everywhere = {name for _, names in running for name in names}
        for instance in list(known.values()):
            self._look_at(host, instance, everywhere)
        self._absent &= known.keys()
        now = asyncio.get_running_loop().time()
        strays = {name for name in everywhere if name not in known and name not in self._busy}
        self._strays = {name: self._strays.get(name, now) for name in sorted(strays)}
        for driver, names in running:
            for name, since in self._strays.items():
                if name in names and now - since >= self.patience:
                    log.warning("%s runs and nobody knows it: it is stopped", name)
                    self._do(name, driver.stop(name, GRACE))

    def _look_at(self, host: Host[State], instance: Instance, running: set[str]) -> None:
        name = instance.instance_id
        if name in self._busy:
            return
        driver = self.driver_of(instance.pool)
        if instance.state is InstanceState.REQUESTED:
            self._do(name, self._start(host, driver, instance))
        elif instance.state is InstanceState.STOPPING:
            self._do(name, self._stop(host, driver, instance))
        elif name in running:
            self._absent.discard(name)
        elif name not in self._absent:
            self._absent.add(name)
        else:
            gone = MachineGone(pool=instance.pool, instance_id=name, reason="it vanished")
            host.tell(gone, id=f"gone-{name}")

    def _do(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._busy[name] = task
        task.add_done_callback(lambda done: self._over(name, done))

    def _over(self, name: str, task: asyncio.Task[None]) -> None:
        self._busy.pop(name, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: %s", name, error, exc_info=error)

    async def _start(self, host: Host[State], driver: Driver, instance: Instance) -> None:
        ids = {"pool": instance.pool, "instance_id": instance.instance_id}
        try:
            await driver.start(instance.pool, instance.instance_id, instance.slots)
        except Exception as error:
            log.warning("%s", error, exc_info=not isinstance(error, StartError))
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
