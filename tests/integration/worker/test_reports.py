"""What a training reports arrives whole, or the training hears at once that it cannot."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NatsServer
from integration.worker.desk import Desk, desk

from shoal_contract import events as ev
from shoal_contract.states import Outcome, StopReason

__all__ = ["desk"]

MANY = """
import torch, shoal
run = shoal.init()
wide = {f"a rather long name of the metric {n}": 0.1234567890123456 for n in range(300)}
for step in range(1, 201):
    run.report(step=step, **wide)
run.checkpoint(step=200, model=torch.nn.Linear(1, 1))
run.report(step=200, acc=0.5)
"""
LARGE = """
import shoal
run = shoal.init()
run.report(step=1, **{f"metric {n}": 0.1234567890123456 for n in range(COUNT)})
run.report(step=2, loss=1.0)
"""
PACE = """
import time, shoal
run = shoal.init()
loader = run.loader([float(n) for n in range(64)], 8)
step = 0
while not run.should_stop():
    for _ in loader:
        step += 1
        run.report(step=step, loss=1.0)
        time.sleep(0.01)
"""


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """One that takes smaller messages than a report may be."""
    server = NatsServer(tmp_path / "nats", "max_payload: 262144")
    server.start()
    yield server
    server.kill()


async def test_many_metrics_hold_nothing_up(desk: Desk) -> None:
    await desk.begin()
    order = await desk.start("e-0", bundle=desk.code(MANY), target=10**6)
    assert (await desk.exit(order)).outcome is Outcome.COMPLETED
    await desk.find(ev.ValidationReported)
    await desk.saved(order, 200)
    for _ in range(500):
        if sorted(one.step for one in desk.reported()) == [*range(1, 201)]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(sorted(one.step for one in desk.reported()))


@pytest.mark.parametrize(
    ("count", "words"),
    [("20000", "report fewer metrics at once"), ("8000", "NATS takes messages of 262144")],
    ids=["too large", "too large for this NATS"],
)
async def test_a_report_that_is_too_large_ends_the_training(
    desk: Desk, count: str, words: str
) -> None:
    await desk.begin()
    order = await desk.start("e-0", bundle=desk.code(LARGE.replace("COUNT", count)))
    end = await desk.exit(order)
    assert (end.outcome, end.exit_code) == (Outcome.FAILED, 1)
    assert words in end.reason


async def test_throughput_is_measured_from_reports(desk: Desk) -> None:
    await desk.begin(SHOAL_USAGE_INTERVAL="0.2")
    order = await desk.start("e-0", bundle=desk.code(PACE), target=10**6)
    found = await desk.find(ev.TrainingReported, lambda e: "samples_per_second" in e.metrics)
    assert (found.group, found.source) == ("system", "n")
    assert 0 < found.metrics["steps_per_second"] < 100
    samples = found.metrics["samples_per_second"]
    assert samples == pytest.approx(8 * found.metrics["steps_per_second"])
    assert found.metrics["host_network_received_bytes_per_second"] >= 0
    await desk.stop(order, StopReason.CLOSED)
    await desk.exit(order)
