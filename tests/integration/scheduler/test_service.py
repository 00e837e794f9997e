"""The scheduler as it is composed, on a real NATS server."""

import asyncio

from unit.scheduler.desk import join, want

from shoal_bus.consume import Consumer
from shoal_contract.events import (
    AllocationEnded,
    Heartbeat,
    NodeAdmitted,
    NodeRemoved,
    StartOrdered,
)
from shoal_contract.states import Outcome
from shoal_contract.subjects import SCHEDULE
from shoal_scheduler.__main__ import main
from shoal_scheduler.settings import Settings


async def until(consumer, kind, seconds=10):
    async with asyncio.timeout(seconds):
        async for batch in consumer.batches():
            for delivery in batch:
                if isinstance(delivery.envelope.event, kind):
                    return delivery.envelope.event
    raise AssertionError(f"the stream ended before a {kind.__name__}")


async def test_a_node_that_beats_gets_work_and_one_that_is_silent_is_removed(nats_url, bus):
    bus = await bus("worker")
    service = asyncio.create_task(
        main(Settings(nats_url=nats_url, replica="scheduler-t", node_timeout=1.0))
    )
    try:
        await bus.publish(join("n", 2), id="joined")
        await until(Consumer(bus, SCHEDULE), NodeAdmitted)
        await bus.publish(want("t", 2), id="wanted")
        start = await until(Consumer(bus, SCHEDULE), StartOrdered)
        assert (start.node_id, start.run.world_size) == ("n", 2)
        for beat in range(8):  # longer than the time-out
            await bus.publish(Heartbeat(node_id="n", incarnation="i1", runs=[]), id=f"beat-{beat}")
            await asyncio.sleep(0.25)
        removals = asyncio.create_task(until(Consumer(bus, SCHEDULE), NodeRemoved))
        await asyncio.sleep(0.3)
        assert not removals.done(), "it was heard a moment ago"
        removed = await removals
        assert removed.reason == "not heard for 1 s"
        ended = await until(Consumer(bus, SCHEDULE), AllocationEnded)
        assert ended.outcome is Outcome.LOST
    finally:
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)
