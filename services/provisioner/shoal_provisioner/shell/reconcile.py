"""Carries the core's decisions out, and tells it what became of the machines."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from shoal_bus.host import Host
from shoal_contract.envelope import Envelope
from shoal_contract.states import InstanceState
from shoal_provisioner.core.messages import (
    MachineFailed,
    MachineFound,
    MachineGone,
    MachinePreempted,
    MachineStarted,
)
from shoal_provisioner.core.state import Instance, State
from shoal_provisioner.shell.drivers.base import Driver, Machine, Order, StartError

log = logging.getLogger(__name__)

GRACE = 40.0
"""Seconds that a machine gets to end by itself: a worker's runs checkpoint in that time."""


@dataclass(slots=True)
class _Look:
    """What a driver had when it was looked at last."""

    asked_at: float = float("-inf")
    """The loop's time."""
    at: float = float("-inf")
    """When it was asked and answered."""
    machines: dict[str, Machine] = field(default_factory=dict)


@dataclass(slots=True)
class Reconciler:
    """Brings the machines to what the state says: after each commit, and as often as each driver
    wants to be looked at.

    It compares instead of reacting to single events, so what a crash left undone is done later.
    """

    drivers: Sequence[Driver]
    """Each driver once."""
    driver_of: Callable[[str, str], Driver]
    """The driver of a pool and zone, also of a pool that is not configured any more."""
    interval: float = 0.5
    patience: float = 10.0
    """Seconds for which a machine must be unknown before something is done about it: longer than a
    replica may believe that it leads after another one took over."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Instance to the work that is under way for it."""
    _looks: list[_Look] = field(default_factory=list)
    """One a driver."""
    _done_at: dict[str, float] = field(default_factory=dict)
    """Instance to when work for it ended: what a driver said before does not count."""
    _absent: dict[str, float] = field(default_factory=dict)
    """Those that were not found, to the look that said so: once may be a race, twice is not."""
    _strays: dict[str, float] = field(default_factory=dict)
    """Machines that are there and that the state does not know, to when that was first seen."""

    async def committed(self, _envelopes: Sequence[Envelope]) -> None:
        """Something was decided: look at once."""
        self._wake.set()

    async def led(self, _state: State) -> None:
        """This replica leads from now on: look at once at what an earlier one left undone."""
        self._absent.clear()
        self._strays.clear()
        self._looks = [_Look() for _ in self.drivers]
        self._wake.set()

    async def run(self, host: Host[State]) -> None:
        """Compare and act, for ever, while the host leads."""
        while True:
            await host.leading.wait()
            for driver, look in zip(self.drivers, list(self._looks), strict=True):
                await self._ask(driver, look)
            if host.leading.is_set():
                self._compare(host)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.interval):  # wait_for may lose a cancellation
                    await self._wake.wait()

    async def _ask(self, driver: Driver, look: _Look) -> None:
        now = asyncio.get_running_loop().time()
        if now - look.asked_at < driver.poll:
            return
        look.asked_at = now
        try:
            found = await driver.machines()
        except Exception:
            log.exception("the machines cannot be listed")
        else:
            look.at, look.machines = now, {machine.instance_id: machine for machine in found}

    def _compare(self, host: Host[State]) -> None:
        known = host.state.instances
        waiting = [
            instance
            for instance in known.values()
            if instance.state is InstanceState.REQUESTED and instance.instance_id not in self._busy
        ]
        for orders in _groups(waiting):
            names = [order.instance_id for order in orders]
            self._do(
                names, self._start(host, self.driver_of(orders[0].pool, orders[0].zone), orders)
            )
        for instance in list(known.values()):
            if instance.instance_id not in self._busy:
                self._compare_one(host, instance)
        for gone in [name for name in self._done_at if name not in known]:
            del self._done_at[gone]
        self._absent = {name: at for name, at in self._absent.items() if name in known}
        self._mind_strays(host)

    def _compare_one(self, host: Host[State], instance: Instance) -> None:
        name, driver = instance.instance_id, self.driver_of(instance.pool, instance.zone)
        look = self._looks[self.drivers.index(driver)]
        machine = look.machines.get(name)
        if instance.state is InstanceState.STOPPING:
            self._do([name], self._stop(host, driver, instance))
        elif machine is not None:
            self._absent.pop(name, None)
            if machine.preempted and not instance.preempted:
                told = MachinePreempted(pool=instance.pool, instance_id=name, source="poll")
                host.tell(told)
        elif look.at <= self._done_at.get(name, float("-inf")):
            pass  # it was looked at before it was started
        elif name not in self._absent:
            self._absent[name] = look.at
        elif self._absent[name] < look.at:
            self._do([name], self._vanished(host, driver, instance))

    def _mind_strays(self, host: Host[State]) -> None:
        now = asyncio.get_running_loop().time()
        found = {name: (look, m) for look in self._looks for name, m in look.machines.items()}
        strays = [n for n in found if n not in host.state.instances and n not in self._busy]
        self._strays = {name: self._strays.get(name, now) for name in sorted(strays)}
        for name, since in list(self._strays.items()):
            look, machine = found[name]
            if look.at - since >= self.patience:
                log.warning("%s runs and is in no record", name)
                self._strays[name] = now
                host.tell(
                    MachineFound(
                        pool=machine.pool,
                        instance_id=name,
                        kind=machine.kind,
                        zone=machine.zone,
                        spot=machine.spot,
                    )
                )

    def _do(self, names: Sequence[str], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._busy.update(dict.fromkeys(names, task))
        task.add_done_callback(lambda done: self._over(names, done))

    def _over(self, names: Sequence[str], task: asyncio.Task[None]) -> None:
        now = asyncio.get_running_loop().time()
        for name in names:
            self._busy.pop(name, None)
            self._done_at[name] = now
            self._strays.pop(name, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: %s", ", ".join(names), error, exc_info=error)

    async def _start(self, host: Host[State], driver: Driver, orders: Sequence[Order]) -> None:
        try:
            failed = dict(await driver.start(orders))
        except Exception as error:
            log.exception("machines could not be started")
            failed = {order.instance_id: StartError(str(error)) for order in orders}
        answers: list[MachineFailed | MachineStarted] = []
        for order in orders:
            ids = {"pool": order.pool, "instance_id": order.instance_id}
            if why := failed.get(order.instance_id):
                log.warning("%s: %s", order.instance_id, why)
                answers.append(MachineFailed(**ids, reason=str(why), cause=why.cause))
            else:
                answers.append(MachineStarted(**ids))
        await asyncio.gather(*(host.told(answer) for answer in answers))

    async def _stop(self, host: Host[State], driver: Driver, instance: Instance) -> None:
        name = instance.instance_id
        await driver.stop(name, instance.zone, GRACE, told=instance.preempted)
        await host.told(MachineGone(pool=instance.pool, instance_id=name, reason="it was stopped"))

    async def _vanished(self, host: Host[State], driver: Driver, instance: Instance) -> None:
        name = instance.instance_id
        taken = instance.spot and await driver.was_preempted(name, instance.zone)
        reason = "the cloud took it back" if taken else "it vanished"
        await host.told(
            MachineGone(pool=instance.pool, instance_id=name, reason=reason, preempted=taken)
        )


def _groups(waiting: Sequence[Instance]) -> list[list[Order]]:
    """Orders of one pool, kind, zone and sort each: what a cloud can start in one go."""

    def like(order: Order) -> tuple[str, str, str, bool]:
        return (order.pool, order.zone, order.kind, order.spot)

    orders = [
        Order(i.pool, i.instance_id, i.slots, kind=i.kind, zone=i.zone, spot=i.spot)
        for i in waiting
    ]
    return [list(group) for _, group in groupby(sorted(orders, key=like), key=like)]
