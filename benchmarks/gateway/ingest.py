"""From a report's publication until a query shows it, while 1,000 trials report at once."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass

import httpx

from benchmarks.gateway.stand import Stand
from shoal_bus.bus import Bus, BusSettings
from shoal_contract.events import TrainingReported, TrialCreated

PROBE_EVERY = 0.1
"""Seconds between two reports whose way is timed."""
POLL = 0.01
"""Seconds between two questions whether it is there."""
CONFIG = {
    "name": "load",
    "entrypoint": "python train.py",
    "searcher": {"name": "custom", "metric": "loss", "max_time": 1000},
}


@dataclass(frozen=True, slots=True)
class Ingest:
    """What came of one load."""

    points: int
    seconds: float
    """From the first point's publication until all could be queried."""
    lags: list[float]
    """Seconds from a report's publication until a query showed it."""
    busy: dict[str, float]
    """Processor seconds a second, by process."""

    @property
    def rate(self) -> float:
        """Points/s."""
        return self.points / self.seconds


async def experiments(client: httpx.AsyncClient, count: int) -> list[str]:
    """Submit experiments whose trials nobody runs."""
    found = []
    for _ in range(count):
        answer = await client.post("/v1/experiments", json={"config": CONFIG})
        answer.raise_for_status()
        found.append(answer.json()["experiment_id"])
    return found


async def measure(stand: Stand, *, rate: float, seconds: float, trials: int = 1000) -> Ingest:
    """Let trials of ten experiments report, and time how long reports of one more trial take."""
    bus = await Bus.connect(BusSettings(nats_url=stand.nats_url, service="worker", replica="probe"))
    async with stand.client() as client:
        *loaded, probed = await experiments(client, 11)
        trial = TrialCreated(
            experiment_id=probed, trial_id=f"{probed}-0", number=0, hyperparameters={}, seed=0
        )
        await bus.publish(trial, id=f"created-{probed}")
        busy, began = stand.seconds(), time.time()
        load = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.gateway.load", "--nats", stand.nats_url,
            "--experiments", ",".join(loaded), "--trials", str(trials), "--rate", str(rate),
            "--seconds", str(seconds), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        ending = asyncio.create_task(load.communicate())
        lags = []
        while not ending.done():
            lags.append(await _lag(client, bus, probed, len(lags)))
            await asyncio.sleep(PROBE_EVERY)
        said = json.loads((await ending)[0])
        await _lag(client, bus, probed, len(lags))  # published last, so the last to be shown
        ended = time.time()
    used = {name: (n - busy[name]) / (ended - began) for name, n in stand.seconds().items()}
    await bus.close()
    return Ingest(said["points"], ended - said["began"], lags, used)


async def _lag(client: httpx.AsyncClient, bus: Bus, experiment_id: str, step: int) -> float:
    """Seconds until a report that is published now is in an answer."""
    began = time.time()
    event = TrainingReported(
        experiment_id=experiment_id,
        trial_id=f"{experiment_id}-0",
        allocation_id="a1",
        attempt=1,
        step=step,
        metrics={"loss": 1.0},
        at=began,
    )
    await bus.publish(event, id=f"probe-{experiment_id}-{step}")
    path = f"/v1/experiments/{experiment_id}/metrics"
    wanted = {"group": "training", "since_step": step - 1}
    while True:
        answer = await client.get(path, params=wanted)
        answer.raise_for_status()
        if answer.json()["items"]:
            return time.time() - began
        await asyncio.sleep(POLL)
