"""A deadline and a budget of money on their whole way: searcher, scheduler and provisioner as
processes would run them, on a real NATS server."""

import asyncio
import sys

import pytest
from integration.provisioner.test_cloud import Story
from unit.provisioner.yard import pool

from shoal_contract.events import (
    ExperimentSubmitted,
    InstanceStarted,
    NodeJoined,
    SearchClosing,
    Slot,
    StopOrdered,
)
from shoal_contract.events.instance import ExperimentBudgetCrossed, ExperimentNoted, TaskNoted
from shoal_contract.parse import parse_experiment
from shoal_contract.subjects import INSTANCES, SCHEDULE, SEARCH
from shoal_provisioner import __main__ as provisioner
from shoal_provisioner.settings import Settings
from shoal_provisioner.shell.drivers.local import LocalDriver
from shoal_scheduler.__main__ import main as scheduler
from shoal_scheduler.settings import Settings as SchedulerSettings
from shoal_searcher.__main__ import main as searcher
from shoal_searcher.settings import Settings as SearcherSettings

KIND = {"machine_type": "m", "slots": 1, "price": {"on_demand": 7200.0, "spot": 3600.0}}


@pytest.fixture
async def services(nats_url, tmp_path, monkeypatch):
    idle = [sys.executable, "-c", "import time; time.sleep(600)"]

    def driver(state_dir, url, inherited, gpus=()):
        return LocalDriver(state_dir, url, inherited, idle, gpus=gpus)

    monkeypatch.setattr(provisioner, "LocalDriver", driver)
    its = pool(kinds=[KIND], provisioning="spot", deadline_policy="uniform_progress")
    settings = Settings(nats_url=nats_url, replica="p-t", state_dir=tmp_path)
    running = [
        asyncio.create_task(work)
        for work in (
            provisioner.main(settings, [its]),
            scheduler(SchedulerSettings(nats_url=nats_url, replica="s-t", node_timeout=600.0)),
            searcher(SearcherSettings(nats_url=nats_url, replica="r-t")),
        )
    ]
    yield
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for machine in await driver(tmp_path, nats_url, {}).machines():
        await driver(tmp_path, nats_url, {}).stop(machine.instance_id, "", 0)


async def test_an_experiment_has_a_deadline_and_ends_when_its_money_is_spent(services, bus):
    teller = await bus("gateway")
    machines, search, orders = (Story(teller, s) for s in (INSTANCES, SEARCH, SCHEDULE))
    config = parse_experiment(
        {
            "name": "x",
            "entrypoint": "x",
            "deadline": "8h",
            "resources": {"resource_pool": "p"},
            "searcher": {"name": "single", "metric": "loss", "max_time": 10,
                         "budget": {"money": 1.0}},
        }
    )  # fmt: skip
    try:
        submitted = ExperimentSubmitted(experiment_id="e", config=config, storage_url="memory://")
        await teller.publish(submitted, id="submitted")
        (noted,) = await machines.until(ExperimentNoted)
        assert (noted.units, noted.lanes, noted.money) == (10, 1, 1.0)
        assert noted.deadline_at == noted.begun_at + 8 * 3600
        (task, *_) = await machines.until(TaskNoted)
        assert (task.task_id, task.allocation_id, task.target) == ("e-0", "e-0-a1", 10)
        assert task.total == 4 * 3600, "half of the time, as long as its pace is not known"

        await machines.until(InstanceStarted)
        joined = NodeJoined(
            node_id="n", incarnation="i", pool="p", host="h", ports=[1], instance_id="p-0",
            slots=[Slot(number=0, kind="cpu", model="cpu")],
        )  # fmt: skip
        await teller.publish(joined, id="joined")
        crossed = (await machines.until(ExperimentBudgetCrossed))[-1]
        assert (crossed.share, crossed.limit) == (1.0, 1.0), "a minute costs more than it has"
        (closing,) = await search.until(SearchClosing)
        assert (closing.reason, closing.at_once) == ("the budget of 1 USD is spent", True)
        (stop,) = await orders.until(StopOrdered)
        assert stop.grace > 0, "time for a checkpoint"
    finally:
        for story in (machines, search, orders):
            story.task.cancel()
        await asyncio.gather(*(s.task for s in (machines, search, orders)), return_exceptions=True)
