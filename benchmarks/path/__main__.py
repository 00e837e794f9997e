"""`python -m benchmarks.path`: from `trial.requested` to `allocation.granted` over real NATS, with
the scheduler as a process and a connection for each node; beside it, what the bus alone takes."""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.path.nodes import BEAT
from benchmarks.recorded import RESULTS, record
from shoal.ports import FOR_SERVERS, free_ports
from shoal_bus.bus import Bus, BusSettings
from shoal_bus.consume import Consumer
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    NodeAdmitted,
    Task,
    TrialRequested,
)
from shoal_contract.resources import Resources
from shoal_contract.subjects import RUNS, SCHEDULE, SEARCH, Stream
from shoal_local import servers

RESULT = RESULTS / "path.md"
SLOTS, PROCESSES, PIPELINE = 8, 4, 64
"""Slots a node; processes that play nodes; requests in the air while a burst is published."""


@dataclass
class Seen:
    """When each trial's request and grant were heard, and how many runs are over."""

    requested: dict[str, float] = field(default_factory=dict)
    granted: dict[str, float] = field(default_factory=dict)
    ended: int = 0
    nodes: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self, bus: Bus, stream: Stream) -> None:
        """Note the time of each event of a stream, as a reader hears it."""
        consumer = Consumer(bus, stream)
        await consumer.ready()
        async for batch in consumer.batches():
            now = time.perf_counter()
            for event in (delivery.envelope.event for delivery in batch):
                match event:
                    case TrialRequested():
                        self.requested[event.trial_id] = now
                    case AllocationGranted():
                        self.granted[event.trial_id] = now
                    case AllocationEnded():
                        self.ended += 1
                    case NodeAdmitted():
                        self.nodes += 1
            async with self.changed:
                self.changed.notify_all()

    async def until(self, name: str, number: int, seconds: float) -> None:
        """Wait until so many were seen."""
        async with asyncio.timeout(seconds), self.changed:
            while getattr(self, name) < number:
                await self.changed.wait()
                if sys.stderr.isatty():
                    print(f"\r{name}: {getattr(self, name)}/{number}", end="", file=sys.stderr)


def request(name: str) -> TrialRequested:
    """A trial that wants one slot."""
    ids = {"experiment_id": name.partition("-")[0], "trial_id": name}
    task = Task(
        **ids, attempt=1, entrypoint=["true"], bundle=None, hyperparameters={"lr": 0.1}, seed=0,
        environment={}, metric="loss", smaller_is_better=True, time_metric="step", target=1,
        storage_url="file:///none", checkpoint=None,
    )  # fmt: skip
    return TrialRequested(**ids, attempt=1, task=task, resources=Resources())


async def measure(url: str, nodes: int, rate: float, requests: int, burst: int) -> list[list[str]]:
    """The rows of the table."""
    bus = await Bus.connect(BusSettings(nats_url=url, service="searcher", replica="bench"))
    seen = Seen()
    listening = [asyncio.create_task(seen.listen(bus, stream)) for stream in (SEARCH, SCHEDULE)]
    await seen.until("nodes", nodes, 300)

    sent: dict[str, float] = {}

    async def publish(name: str) -> None:
        sent[name] = time.perf_counter()
        await bus.publish(request(name), id=name)

    began = time.perf_counter()
    waiting = []
    for number in range(requests):  # an open loop: what is late does not slow what follows
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        waiting.append(asyncio.create_task(publish(f"steady-{number}")))
    await asyncio.gather(*waiting)
    await seen.until("ended", requests, 120)
    raw = sorted(seen.requested[name] - at for name, at in sent.items())
    whole = sorted(seen.granted[name] - at for name, at in sent.items())
    rows = [
        [f"the bus alone: publish to consume, {rate:g}/s", *_times(raw)],
        [f"request published to grant consumed, {rate:g}/s", *_times(whole)],
    ]

    before = await stored(bus)
    names = iter([f"burst-{number}" for number in range(burst)])

    async def some() -> None:
        for name in names:
            await publish(name)

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(PIPELINE)))
    published = time.perf_counter() - began
    await seen.until("ended", requests + burst, 600)
    over = time.perf_counter() - began
    granted = max(seen.granted.values()) - began
    events = await stored(bus) - before
    rows += [
        [f"burst of {burst:,}: requests published", f"{burst / published:,.0f}/s", ""],
        [f"burst of {burst:,}: granted", f"{burst / granted:,.0f}/s", ""],
        [f"burst of {burst:,}: started, over and settled", f"{burst / over:,.0f}/s", ""],
        ["the same: events stored in all streams", f"{events / over:,.0f}/s", ""],
    ]
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    await bus.close()
    return rows


async def stored(bus: Bus) -> int:
    """Events that the streams of the path ever took."""
    infos = [await bus.js.stream_info(stream.name) for stream in (SEARCH, SCHEDULE, RUNS)]
    return sum(info.state.last_seq for info in infos)


def _times(ordered: list[float]) -> list[str]:
    return [f"{ordered[int(share * len(ordered))] * 1e3:,.1f} ms" for share in (0.5, 0.99)]


@contextmanager
def child(command: list[str], log: Path, **env: str) -> Iterator[None]:
    """A process for as long as the block lasts."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | env)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """Print the table, and write it to benchmarks/results/path.md."""
    parser = argparse.ArgumentParser("python -m benchmarks.path", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50, help="requests a second, at first")
    parser.add_argument("--requests", type=int, default=2000, help="at this rate")
    parser.add_argument("--burst", type=int, default=5000, help="requests at once, after that")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), free_ports(1, FOR_SERVERS)[0]
        url = f"nats://127.0.0.1:{port}"
        nats = servers.nats(folder, port)
        stack.enter_context(child(nats.command, folder / "nats.log"))
        env = {"SHOAL_NATS_URL": url, "SHOAL_REPLICA": "scheduler-0", "SHOAL_NODE_TIMEOUT": "600"}
        scheduler = [sys.executable, "-m", "shoal_scheduler"]
        stack.enter_context(child(scheduler, folder / "scheduler.log", **env))
        share = -(-options.nodes // PROCESSES)
        for first in range(0, options.nodes, share):
            numbers = map(str, (first, min(share, options.nodes - first), SLOTS))
            command = [sys.executable, "-m", "benchmarks.path.nodes", url, *numbers]
            stack.enter_context(child(command, folder / "nodes.log"))
        rows = asyncio.run(
            measure(url, options.nodes, options.rate, options.requests, options.burst)
        )
    text = "\n".join(
        [
            "# The whole path",
            "",
            f"{options.nodes:,} nodes of {SLOTS} slots, each with a NATS connection and a consumer"
            f" of its own and a heartbeat every {BEAT:g} s, in {PROCESSES} processes; one"
            " scheduler, one NATS server that syncs every write to disk, all on this machine."
            " A node reports the end of a run at once. Times are those of a reader that hears all.",
            "",
            f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores,"
            f" load {load:.1f} at the beginning",
            "",
            "| | median, or rate | p99 |",
            "| --- | ---: | ---: |",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]
    )
    print(text)
    record(RESULT, text)


if __name__ == "__main__":
    main()
