"""What it takes to look after 1,000 machines."""

import statistics
import time
from dataclasses import dataclass

from shoal_contract.events import DemandChanged, NodeAdmitted, NodeBusy, Slot, Want
from shoal_decider import Message, Runner, Tick
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.messages import MachineStarted
from shoal_provisioner.core.pools import Pool

PAGE, POLL = 500, 20.0
"""Machines a page of the cloud's list, and seconds between two looks at it."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Measured."""

    machines: int
    tick: float
    """Seconds of a decision when nothing happened, the median."""
    message: float
    """Seconds of a decision on word of one machine, the median."""

    def text(self) -> str:
        """A section of the page."""
        pages = -(-self.machines // PAGE)
        return (
            f"## {self.machines:,} machines\n\n"
            f"A pass of the decider when nothing happened takes {self.tick * 1e3:.1f} ms, word of"
            f" one machine {self.message * 1e3:.1f} ms (medians, processor time). Looking at the"
            f" cloud's list every {POLL:g} s with {PAGE} machines a page is"
            f" {3600 / POLL * pages:,.0f} calls an hour; starting or stopping is extra: one bulk"
            " insert a pool, kind and zone, one deletion a machine.\n"
        )


def measured(machines: int = 1000) -> Pass:
    """Times of the decider with so many machines at work."""
    pool = Pool(name="p", max_instances=machines, slots_per_instance=1, max_starting_period=1e9)
    runner, now = Runner.of(ProvisionerDecider([pool])), 1e6

    def tell(body: object) -> float:
        nonlocal now
        now += 0.001
        begun = time.process_time()
        runner.tell(Message(f"m{now}", now, body))  # type: ignore[arg-type]
        return time.process_time() - begun

    tell(DemandChanged(pool="p", wants=[Want(slots=1, count=machines)]))
    while len(runner.state.instances) < machines:
        tell(Tick())
    slot, times = Slot(number=0, kind="cpu", model="cpu"), []
    for name in list(runner.state.instances):
        tell(MachineStarted(pool="p", instance_id=name))
        tell(
            NodeAdmitted(
                node_id=name, incarnation="i", pool="p", host="h", slots=[slot], ports=[],
                instance_id=name,
            )
        )  # fmt: skip
        times.append(tell(NodeBusy(node_id=name, instance_id=name)))
    tell(DemandChanged(pool="p", wants=[]))
    ticks = [tell(Tick()) for _ in range(200)]
    return Pass(machines, statistics.median(ticks), statistics.median(times[-200:]))
