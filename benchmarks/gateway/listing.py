"""Pages of a list of many experiments, and what is asked of one, with many others in the models."""

import asyncio
import random
import time
from dataclasses import dataclass

import httpx

from benchmarks.gateway.ingest import CONFIG
from benchmarks.gateway.stand import Stand
from shoal_bus.bus import Bus, BusSettings
from shoal_contract.envelope import Envelope
from shoal_contract.events import Event, ExperimentSubmitted, TrialCreated, TrialMeasured
from shoal_contract.parse import parse_experiment
from shoal_contract.subjects import subject_of

AT_ONCE = 500
"""Events that are published before the server is waited for."""
ASKED = 300
"""Requests of each kind, one after another."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What came of it."""

    events: int
    filling: float
    """Seconds from the first event until reads show all."""
    seconds: dict[str, list[float]]
    """Of each kind of request, how long each took."""


async def measure(stand: Stand, *, experiments: int, trials: int) -> Listing:
    """Publish so many experiments with so many trials each, and ask for them."""
    bus = await Bus.connect(BusSettings(nats_url=stand.nats_url, service="filler", replica="fill"))
    began, events = time.monotonic(), 0
    for number in range(experiments):
        for event in _experiment(number, trials):
            await _send(bus, event, events)
            events += 1
            if events % AT_ONCE == 0:
                await bus.nc.flush()
    await bus.nc.flush()
    async with stand.client() as client:
        await _until_shown(client, events)
        filling = time.monotonic() - began
        first = (await client.get("/v1/experiments", params={"limit": 50})).json()
        cursors = [first["next"]]
        for _ in range(min(20, experiments // 50 - 2)):
            page = await client.get("/v1/experiments", params={"limit": 50, "cursor": cursors[-1]})
            cursors.append(page.json()["next"])
        kinds = {
            "list, a page of 50": lambda: ("/v1/experiments", {"limit": 50}),
            "list, a later page": lambda: (
                "/v1/experiments", {"limit": 50, "cursor": random.choice(cursors)}
            ),
            "show": lambda: (f"/v1/experiments/x{random.randrange(experiments)}", {}),
            f"its {trials} trials": lambda: (
                f"/v1/experiments/x{random.randrange(experiments)}/trials", {}
            ),
        }  # fmt: skip
        seconds: dict[str, list[float]] = {}
        for name, ask in kinds.items():
            for _ in range(ASKED):
                path, params = ask()
                asked = time.perf_counter()
                (await client.get(path, params=params)).raise_for_status()
                seconds.setdefault(name, []).append(time.perf_counter() - asked)
    await bus.close()
    return Listing(events, filling, seconds)


def _experiment(number: int, trials: int) -> list[Event]:
    e = f"x{number}"
    found: list[Event] = [
        ExperimentSubmitted(
            experiment_id=e, config=parse_experiment(CONFIG), bundle=None,
            storage_url=f"file:///nowhere/{e}", owner="local",
        )
    ]  # fmt: skip
    for n in range(trials):
        t, rate = f"{e}-{n}", 0.1 / (n + 1)
        found.append(
            TrialCreated(
                experiment_id=e, trial_id=t, number=n, hyperparameters={"lr": rate}, seed=n
            )
        )
        found.append(TrialMeasured(experiment_id=e, trial_id=t, step=9, time=9, metric=rate))
    return found


async def _send(bus: Bus, event: Event, number: int) -> None:
    envelope = Envelope(id=f"fill-{number}", source=bus.source, time=time.time(), event=event)
    await bus.nc.publish(subject_of(event), envelope.body(), headers=envelope.headers())


async def _until_shown(client: httpx.AsyncClient, events: int) -> None:
    """Wait until no event that is in the streams is missing in the models."""
    while True:
        lines = (await client.get("/metrics")).text.splitlines()
        shown = {
            line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")
        }
        stored = sum(n for name, n in shown.items() if name.startswith("shoal_stream_last"))
        lag = sum(n for name, n in shown.items() if name.startswith("shoal_projector_lag"))
        if stored >= events and lag == 0:
            return
        await asyncio.sleep(0.5)
