"""Two searchers share the experiments; when one dies, the other takes its over."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter

from unit.searcher.pool import config

from shoal_bus.history import read_all
from shoal_contract.events import ExperimentSubmitted, ValidationReported
from shoal_contract.ids import allocation_id, shard_of
from shoal_contract.subjects import SEARCH, all_of

SHARDS = 4
NAMES = [f"e{n}" for n in range(12)]


def searcher(nats_url, replica):
    return subprocess.Popen(
        [sys.executable, "-m", "shoal_searcher"],
        env={
            **os.environ,
            "SHOAL_NATS_URL": nats_url,
            "SHOAL_REPLICA": replica,
            "SHOAL_SHARDS": str(SHARDS),
        },
        stderr=subprocess.DEVNULL,
    )


async def becomes(bus, kind, done, seconds=30):
    """The events of a type, once `done` holds of them."""
    async with asyncio.timeout(seconds):
        while True:
            found = await read_all(bus, SEARCH, [all_of(kind)])
            if done(found):
                return found
            await asyncio.sleep(0.1)


async def submit(bus, names):
    for name in names:
        submitted = ExperimentSubmitted(
            experiment_id=name, config=config(), storage_url="file:///s"
        )
        await bus.publish(submitted, id=f"submit-{name}")


async def leases(bus):
    bucket = await bus.bucket("shoal_leases")
    found = {}
    for index in range(SHARDS):
        try:
            entry = await bucket.get(f"leader.searcher-{index}of{SHARDS}")
        except Exception:
            continue
        found[index] = entry.value.decode()
    return found


async def both_have_their_share(bus):
    async with asyncio.timeout(30):
        while True:
            if Counter((await leases(bus)).values()) == {"s0": 2, "s1": 2}:
                return
            await asyncio.sleep(0.1)


async def test_replicas_share_experiments_and_take_over_from_the_dead(nats_url, bus):
    assert len({shard_of(name, SHARDS) for name in NAMES}) == SHARDS
    one = await bus("gateway")
    both = {name: searcher(nats_url, name) for name in ("s0", "s1")}
    try:
        await both_have_their_share(one)
        await submit(one, NAMES)
        accepted = await becomes(one, "search.accepted", lambda found: len(found) >= len(NAMES))
        writers = {e.event.experiment_id: e.source.rpartition("/")[2] for e in accepted}
        assert set(writers.values()) == {"s0", "s1"}
        both["s0"].send_signal(signal.SIGKILL)
        for name in NAMES:
            report = ValidationReported(
                experiment_id=name, trial_id=f"{name}-0", attempt=1, step=64, time=64,
                allocation_id=allocation_id(f"{name}-0", 1), metrics={"loss": 1.0}, at=0.0,
            )  # fmt: skip
            await one.publish(report, id=f"report-{name}")
        done = await becomes(one, "trial.completed", lambda found: len(found) >= len(NAMES))
        assert sorted(e.event.experiment_id for e in done) == sorted(NAMES)
        assert all(e.source.endswith("/s1") for e in done if writers[e.event.experiment_id] == "s0")
        again = await read_all(one, SEARCH, [all_of("search.accepted")])
        assert len(again) == len(NAMES), "nothing was decided twice"
    finally:
        for process in both.values():
            process.kill()
            process.wait()
