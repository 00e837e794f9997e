"""`python -m benchmarks.gateway.load`: trials that report, as their workers would publish it.

Prints, as JSON, how many points it published, and when it began (Unix seconds).
"""

import argparse
import asyncio
import json
import random
import time

from shoal_bus.bus import Bus, BusSettings
from shoal_contract.envelope import Envelope
from shoal_contract.events import TrainingReported
from shoal_contract.subjects import subject_of

TURN = 0.01
"""Seconds between two bursts of reports."""


async def main(options: argparse.Namespace) -> None:
    """Each trial reports in turn, `names` numbers each time, so that `rate` numbers/s result."""
    bus = await Bus.connect(BusSettings(nats_url=options.nats, service="worker", replica="load"))
    experiments = options.experiments.split(",")
    trials = [f"{e}-{n}" for n in range(options.trials // len(experiments)) for e in experiments]
    names = [f"metric_{n}" for n in range(options.names)]
    began, sent = time.time(), 0
    while (now := time.time()) < began + options.seconds:
        due = int((now - began) * options.rate / options.names)
        for number in range(sent, due):
            trial = trials[number % len(trials)]
            event = TrainingReported(
                experiment_id=trial.rpartition("-")[0],
                trial_id=trial,
                allocation_id=f"{trial}-a1",
                attempt=1,
                step=number // len(trials),
                metrics={name: random.random() for name in names},
                at=now,
            )
            envelope = Envelope(id=f"{began}-{number}", source=bus.source, time=now, event=event)
            await bus.nc.publish(subject_of(event), envelope.body(), headers=envelope.headers())
        sent = due
        await bus.nc.flush()
        await asyncio.sleep(TURN)
    print(json.dumps({"points": sent * options.names, "began": began}))
    await bus.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nats", required=True, help="URL of the server")
    parser.add_argument("--experiments", required=True, help="ids, with commas between")
    parser.add_argument("--trials", type=int, default=1000, help="in all experiments together")
    parser.add_argument("--names", type=int, default=10, help="numbers in one report")
    parser.add_argument("--rate", type=float, required=True, help="numbers/s")
    parser.add_argument("--seconds", type=float, required=True, help="for so long")
    asyncio.run(main(parser.parse_args()))
