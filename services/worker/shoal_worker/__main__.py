"""The worker as a process."""

import asyncio
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from shoal.ports import FOR_RANKS, free_ports
from shoal_bus.bus import Bus, BusSettings
from shoal_bus.cancelling import end
from shoal_bus.consume import Consumer
from shoal_bus.host import Host, Input
from shoal_bus.sealing import Seal
from shoal_bus.service import run_service
from shoal_contract import subjects
from shoal_contract.events import Heartbeat, NodeJoined, NodeRemoved, Slot
from shoal_contract.events.run import PREEMPTED
from shoal_worker.core.decider import WorkerDecider
from shoal_worker.core.messages import DrainRequested
from shoal_worker.core.state import Run, State
from shoal_worker.settings import Settings
from shoal_worker.shell import devices, isolation, network, notices, variables
from shoal_worker.shell.containers import Boxing
from shoal_worker.shell.guard import Guard
from shoal_worker.shell.health import Health
from shoal_worker.shell.keeper import Keeper
from shoal_worker.shell.launcher import Launcher
from shoal_worker.shell.line import Line
from shoal_worker.shell.logs import Rates
from shoal_worker.shell.private import Private
from shoal_worker.shell.processes import Processes
from shoal_worker.shell.records import Records
from shoal_worker.shell.usage import Usage

log = logging.getLogger("shoal_worker")

HEARTBEAT = 1.0
"""Seconds between signs of life."""


async def main(settings: Settings, slots: Sequence[Slot]) -> None:
    """Run what is ordered, until told to leave."""
    state_dir = settings.state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    if settings.instance_id is None or settings.nic != network.LOOPBACK:
        isolation.hide()  # but from the platform of one machine, which looks for its workers
    while await _live(settings, slots, state_dir, secrets.token_hex(4)):
        log.warning("the scheduler had given this node up; its runs are killed, it joins anew")


async def _live(
    settings: Settings, slots: Sequence[Slot], state_dir: Path, incarnation: str
) -> bool:
    """One incarnation, from joining to its end; whether another is to follow."""
    place = BusSettings(
        nats_url=settings.nats_url,
        service="worker",
        replica=settings.node_id,
        token=settings.token,
    )
    bus = await Bus.connect(place)
    env = {
        "PATH": os.pathsep.join((os.path.dirname(sys.executable), settings.path)),
        "HOME": settings.home,
        "LANG": settings.lang,
    }
    own = {
        "DOCKER_HOST": settings.docker_host,
        "CONTAINER_HOST": settings.podman_host,
        "CONTAINERS_CONF": settings.podman_conf,
        "XDG_RUNTIME_DIR": settings.runtime_dir,
    }
    mounts = tuple(filter(None, settings.container_mounts.split(",")))
    boxing = Boxing(
        settings.container_runtime, {**env, **{k: v for k, v in own.items() if v}}, mounts
    )
    limits = isolation.limits(int(settings.rank_memory * 1e9))
    rates = Rates(settings.log_lines, settings.log_bytes)
    processes = Processes(state_dir, slots, env, limits, rates, boxing, settings.nic)
    key = settings.secret_key.get_secret_value()
    processes.private = Private(bus, Seal(key) if key else None, settings.url)
    orders = [subjects.all_of("order.*", settings.node_id)]
    host: Host[State] = Host(
        bus,
        WorkerDecider(settings.node_id, incarnation),
        None,
        [Input(subjects.SCHEDULE, orders, start="new")],
        on_commit=processes.committed,
    )
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        records = Records(state_dir, incarnation)
        await records.left_behind()

        def runs() -> Mapping[str, Run]:
            return host.state.runs

        keeper = Keeper(bus, runs)
        line = Line(bus, host, os.path.join(folder, "line"), records, keeper)
        guard = Guard()
        launcher = Launcher(
            processes.exited,
            settings.warm,
            {**env, **variables.threads(slots)},
            (guard.held,),
            settings.preload,
            settings.warm_up,
        )
        usage = Usage(bus, settings.node_id, slots, records, runs, settings.usage_interval)
        gpus = [slot.number for slot in slots if slot.kind == "cuda"]
        drain = partial(_drain, host, settings)
        health = Health(state_dir, int(settings.reserve * 1e9), gpus, drain)
        await health.well()
        processes.host, processes.line, processes.launcher = host, line, launcher
        await guard.open(settings.node_id, incarnation, place, state_dir, folder)
        await launcher.open()  # before the line: gRPC's threads do not like a fork
        await line.open()
        loop = asyncio.get_running_loop()
        ends = _Ends(bus, line, asyncio.current_task())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ends.told, host, settings, number.name)
        background = [
            asyncio.create_task(work)
            for work in (records.follow(), keeper.run(), usage.report(), health.watch())
        ]
        if settings.metadata_url:
            background.append(asyncio.create_task(_preempted(host, settings, ends)))
        try:
            again = await _serve(settings, bus, host, processes, incarnation)
            await guard.dismiss()
            return again
        finally:
            ends.cancel()
            await end(background)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            await launcher.close()
            await line.close()
            await bus.close()


class _Ends:
    """Where the worker is told to leave while NATS is away, nobody else can be told: its ranks are,
    and when the notice is over it ends with them."""

    def __init__(self, bus: Bus, line: Line, living: asyncio.Task[Any] | None) -> None:
        self._bus, self._line, self._living = bus, line, living
        self._timer: asyncio.TimerHandle | None = None

    def told(self, host: Host[State], settings: Settings, why: str) -> None:
        """Leave, as far as that can be said; else end."""
        _drain(host, settings, why)
        if self._timer is None:
            self._look_again(asyncio.get_running_loop().time() + settings.notice)

    def _look_again(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        left = until - loop.time()
        pause = min(HEARTBEAT, left) if left > 0 else HEARTBEAT
        self._timer = loop.call_later(pause, self._look, until)

    def _look(self, until: float) -> None:
        if not self._bus.connected:
            if self._living is not None and asyncio.get_running_loop().time() >= until:
                log.error("NATS is away, and the notice is over: the worker ends with its ranks")
                self._living.cancel()
                return
            self._line.wake()  # it is decided, though it cannot be published yet
        self._look_again(until)

    def cancel(self) -> None:
        """The worker ends by itself."""
        if self._timer is not None:
            self._timer.cancel()


def _drain(host: Host[State], settings: Settings, why: str) -> None:
    host.tell(DrainRequested(reason=why, seconds=settings.notice))


async def _preempted(host: Host[State], settings: Settings, ends: _Ends) -> None:
    await notices.preempted(settings.metadata_url)
    ends.told(host, settings, f"{PREEMPTED}: the cloud takes this machine back")


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
            ports=free_ports(2 * len(slots) + 2, FOR_RANKS, address=""),
            instance_id=settings.instance_id,
            labels=settings.labels,
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


def located(settings: Settings) -> Settings:
    """The settings with the interface and the address that follow from them. Raises
    NetworkError."""
    nic, host = network.place(settings.nic, settings.host, network.addresses())
    return settings.model_copy(update={"nic": nic, "host": host})


if __name__ == "__main__":
    try:
        found = located(Settings())
        found.token  # noqa: B018 - to fail at once
        offer = devices.slots(found.slots, found.devices)
    except (network.NetworkError, devices.NoGpuError, OSError) as error:
        sys.exit(f"shoal_worker: {error}")
    run_service(lambda: main(found, offer), "worker", found.node_id)
