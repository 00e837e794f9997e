"""Machines that only exist as numbers: for the simulator, with traces of what could be had."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shoal_provisioner.shell.drivers.base import Machine, Order, StartError

Capacity = Callable[[float], int]
"""Time to how many spot machines a zone has for us."""


@dataclass(slots=True)
class Cloud:
    """Zones with so many spot machines at a time, and on-demand ones without limit. A trace says
    how many are taken back, not which: those that `rank` puts last."""

    spot: Mapping[str, Capacity] = field(default_factory=dict)
    """By zone; a zone that is not named has all that is wanted."""
    rank: Callable[[str], int] = lambda _name: 0
    """Id to its place; among equals, whoever came last goes first."""
    up: dict[str, Machine] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    def start(self, order: Order, now: float) -> StartError | None:
        """Start a machine; the error says why not."""
        name = order.instance_id
        if name in self.up:
            return None
        if name in self.ended:
            return StartError(f"{name} has ended; a machine is never started twice")
        if order.spot and self._free(order.zone, now) < 1:
            return StartError(f"{order.zone} has no {order.kind} now", "stock_out")
        self.up[name] = Machine(order.pool, name, order.kind, order.zone, order.spot)
        return None

    def stop(self, name: str) -> None:
        """End a machine."""
        if self.up.pop(name, None) is not None:
            self.ended.add(name)

    def take_back(self, now: float) -> list[str]:
        """Take back what a zone has no more; returns which."""
        gone: list[str] = []
        for zone in self.spot:
            its = [name for name, m in self.up.items() if m.spot and m.zone == zone]
            its.sort(key=self.rank)
            gone += its[len(its) + min(0, self._free(zone, now)) :]
        for name in gone:
            self.taken.add(name)
            self.stop(name)
        return gone

    def _free(self, zone: str, now: float) -> int:
        if zone not in self.spot:
            return 1
        used = sum(machine.spot and machine.zone == zone for machine in self.up.values())
        return self.spot[zone](now) - used


@dataclass(slots=True)
class SimulatedDriver:
    """A `Cloud` behind the contract of drivers."""

    cloud: Cloud
    clock: Callable[[], float]
    poll: float = 0.0

    async def start(self, orders: Sequence[Order]) -> dict[str, StartError]:
        """Start machines, while there are any."""
        answers = {o.instance_id: self.cloud.start(o, self.clock()) for o in orders}
        return {name: error for name, error in answers.items() if error is not None}

    async def stop(self, instance_id: str, zone: str, grace: float, *, told: bool = False) -> None:
        """End a machine at once."""
        self.cloud.stop(instance_id)

    async def machines(self) -> list[Machine]:
        """Those that are left now."""
        self.cloud.take_back(self.clock())
        return list(self.cloud.up.values())

    async def was_preempted(self, instance_id: str, zone: str) -> bool:
        """Whether it was taken back."""
        return instance_id in self.cloud.taken
