"""Listens for heartbeats, and tells the core of nodes that are silent."""

import asyncio
import time

from shoal_bus.bus import Bus
from shoal_bus.consume import Consumer
from shoal_bus.host import Host
from shoal_bus.watchdog import Watchdog
from shoal_contract.events import Heartbeat
from shoal_contract.subjects import HEARTBEATS
from shoal_scheduler.core.messages import NodeSilent
from shoal_scheduler.core.state import State


async def watch(bus: Bus, host: Host[State], timeout: float) -> None:
    """Watch the nodes of the host's state while it leads, for ever."""
    while True:
        await host.leading.wait()
        watchdog = Watchdog(timeout)
        reader = asyncio.create_task(_listen(bus, watchdog))
        watched: dict[str, str] = {}
        try:
            while host.leading.is_set():
                _check(bus, host, watchdog, watched)
                await asyncio.sleep(min(1.0, timeout / 4))
        finally:
            reader.cancel()


async def _listen(bus: Bus, watchdog: Watchdog) -> None:
    consumer = Consumer(bus, HEARTBEATS, start="new")
    async for batch in consumer.batches():
        for delivery in batch:
            event = delivery.envelope.event
            if isinstance(event, Heartbeat):
                watchdog.seen(event.node_id, event.incarnation, time.monotonic())


def _check(bus: Bus, host: Host[State], watchdog: Watchdog, watched: dict[str, str]) -> None:
    now = time.monotonic()
    nodes = host.state.nodes
    for node in nodes.values():
        if watched.get(node.node_id) != node.incarnation:  # a node new to us counts as heard
            watched[node.node_id] = node.incarnation
            watchdog.seen(node.node_id, node.incarnation, now)
    if not bus.connected:
        watchdog.forgive(now)
    for node_id, incarnation in watchdog.silent(now):
        watchdog.forget(node_id)
        watched.pop(node_id, None)
        if node_id in nodes:
            host.tell(
                NodeSilent(node_id=node_id, incarnation=incarnation, seconds=watchdog.timeout)
            )
