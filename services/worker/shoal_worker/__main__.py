"""The worker as a process."""

import asyncio
import logging
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.consume import Consumer
from shoal_bus.host import Host, Input
from shoal_bus.service import run_service
from shoal_contract import subjects
from shoal_contract.events import Heartbeat, NodeJoined, NodeRemoved
from shoal_worker.core.decider import WorkerDecider
from shoal_worker.core.messages import DrainRequested
from shoal_worker.core.state import State
from shoal_worker.settings import Settings
from shoal_worker.shell import devices
from shoal_worker.shell.launcher import Launcher
from shoal_worker.shell.line import Line
from shoal_worker.shell.processes import Processes

log = logging.getLogger("shoal_worker")

HEARTBEAT = 1.0
"""Seconds between signs of life."""


async def main(settings: Settings) -> None:
    """Run what is ordered, until told to leave."""
    state_dir = settings.state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    while await _live(settings, state_dir, secrets.token_hex(4)):
        log.warning("the scheduler had given this node up; its runs are killed, it joins anew")


async def _live(settings: Settings, state_dir: Path, incarnation: str) -> bool:
    """One incarnation, from joining to its end; whether another is to follow."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="worker", replica=settings.node_id)
    )
    slots = devices.slots(settings.slots)
    env = {
        "PATH": os.pathsep.join((os.path.dirname(sys.executable), settings.path)),
        "HOME": settings.home,
        "LANG": settings.lang,
        "PYTHONUNBUFFERED": "1",
    }
    processes = Processes(state_dir, slots, env, settings.host)
    orders = [subjects.all_of("order.*", settings.node_id)]
    host: Host[State] = Host(
        bus,
        WorkerDecider(settings.node_id, incarnation),
        None,
        [Input(subjects.SCHEDULE, orders, start="new")],
        on_commit=processes.committed,
    )
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        line = Line(bus, host, os.path.join(folder, "line"))
        launcher = Launcher(processes.exited, settings.warm, env)
        processes.host, processes.line, processes.launcher = host, line, launcher
        await line.open()
        await launcher.open()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            notice = DrainRequested(reason=number.name, seconds=settings.notice)
            loop.add_signal_handler(number, host.tell, notice)
        try:
            return await _serve(settings, bus, host, processes, incarnation)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            await launcher.close()
            await line.close()
            await bus.close()


async def _serve(
    settings: Settings,
    bus: Bus,
    host: Host[State],
    processes: Processes,
    incarnation: str,
) -> bool:
    removed = asyncio.Event()
    tasks = [
        asyncio.create_task(host.run()),
        asyncio.create_task(_watch_for_removal(bus, settings.node_id, incarnation, removed)),
    ]
    await host.leading.wait()  # from here on no order is missed
    slots = list(processes.slots)
    await bus.publish(
        NodeJoined(
            node_id=settings.node_id,
            incarnation=incarnation,
            pool=settings.pool,
            host=settings.host,
            slots=slots,
            ports=devices.free_ports(2 * len(slots) + 2),
            instance_id=settings.instance_id,
        ),
        id=f"{settings.node_id}-{incarnation}-joined",
    )
    log.info("joined pool %s with %d slots", settings.pool, len(slots))
    tasks.append(asyncio.create_task(_beat(bus, host, settings.node_id, incarnation)))
    ends = [asyncio.create_task(processes.left.wait()), asyncio.create_task(removed.wait())]
    try:
        done, _ = await asyncio.wait([*tasks, *ends], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if processes.left.is_set():
            await processes.flush()
            return False
        return True
    finally:
        for task in (*tasks, *ends):
            task.cancel()
        await asyncio.gather(*tasks, *ends, return_exceptions=True)


async def _beat(bus: Bus, host: Host[State], node_id: str, incarnation: str) -> None:
    count = 0
    while True:
        beat = Heartbeat(node_id=node_id, incarnation=incarnation, runs=list(host.state.runs))
        await bus.publish(beat, id=f"{node_id}-{incarnation}-{count}")
        count += 1
        await asyncio.sleep(HEARTBEAT)


async def _watch_for_removal(
    bus: Bus, node_id: str, incarnation: str, removed: asyncio.Event
) -> None:
    consumer = Consumer(
        bus, subjects.SCHEDULE, filters=[subjects.all_of("pool.node_removed", node_id)], start="new"
    )
    async for batch in consumer.batches():
        for delivery in batch:
            event = delivery.envelope.event
            if isinstance(event, NodeRemoved) and event.incarnation == incarnation:
                removed.set()


if __name__ == "__main__":
    found = Settings()
    run_service(lambda: main(found), "worker", found.node_id)
