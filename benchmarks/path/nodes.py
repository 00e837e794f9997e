"""Machines without training: each has a connection of its own, hears its orders, and reports that a
run is over as soon as it is told to start one. A process of its own: `python -m
benchmarks.path.nodes URL FIRST COUNT SLOTS`."""

import asyncio
import sys

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.consume import Consumer
from shoal_contract.events import Heartbeat, NodeJoined, RunExited, Slot, StartOrdered
from shoal_contract.states import Outcome
from shoal_contract.subjects import SCHEDULE, all_of

BEAT = 10.0
"""Seconds between two signs of life of a node."""


async def node(url: str, name: str, slots: int, opening: asyncio.Semaphore) -> None:
    """One node, for ever."""
    async with opening:
        bus = await Bus.connect(BusSettings(nats_url=url, service="worker", replica=name))
        orders = Consumer(bus, SCHEDULE, filters=[all_of("order.*", name)], start="new", batch=8)
        await orders.ready()
        found = [Slot(number=n, kind="cpu", model="cpu") for n in range(slots)]
        joined = NodeJoined(
            node_id=name, incarnation="i", pool="default", host=name, slots=found,
            ports=[29500], instance_id=None,
        )  # fmt: skip
        await bus.publish(joined, id=f"joined-{name}")
    beating = asyncio.create_task(beat(bus, name))
    async for batch in orders.batches():
        for delivery in batch:
            if isinstance(order := delivery.envelope.event, StartOrdered):
                run = order.run
                over = RunExited(
                    experiment_id=run.task.experiment_id, run_id=run.run_id,
                    allocation_id=order.allocation_id, trial_id=run.task.trial_id, node_id=name,
                    outcome=Outcome.COMPLETED, reason="at once",
                )  # fmt: skip
                await bus.publish(over, id=f"over-{run.run_id}")
    beating.cancel()


async def beat(bus: Bus, name: str) -> None:
    """Signs of life."""
    count = 0
    while True:
        await asyncio.sleep(BEAT)
        count += 1
        await bus.publish(Heartbeat(node_id=name, incarnation="i", runs=[]), id=f"{name}-{count}")


async def main(url: str, first: int, count: int, slots: int) -> None:
    """So many nodes side by side."""
    opening = asyncio.Semaphore(8)
    await asyncio.gather(*(node(url, f"n{first + i}", slots, opening) for i in range(count)))


if __name__ == "__main__":
    address, *numbers = sys.argv[1:]
    asyncio.run(main(address, *map(int, numbers)))
