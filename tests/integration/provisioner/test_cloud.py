"""The provisioner as it is composed, on a real NATS server, with Google Cloud's wire protocols."""

import asyncio

import google.auth
import pytest
from fakes import compute, pubsub
from google.auth.credentials import AnonymousCredentials
from integration.provisioner.test_notices import SUBSCRIPTION, TOPIC, entry, publish
from unit.provisioner.spot import GCP, KIND, PRICES, admitted, busy, demand, granted, spot_pool

from shoal_bus.consume import Consumer
from shoal_contract.events import (
    InstanceRequested,
    InstanceStarted,
    InstanceStopped,
    NodeDraining,
)
from shoal_contract.events.instance import InstancePreempted, ObtainabilityNoted
from shoal_contract.events.run import PREEMPTED
from shoal_contract.subjects import INSTANCES
from shoal_provisioner import __main__ as service
from shoal_provisioner.settings import Settings


@pytest.fixture
def cloud(monkeypatch):
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "lab"))
    machines, words = compute.FakeCompute(), pubsub.FakePubSub()
    words.subscribe(SUBSCRIPTION, TOPIC)
    with compute.serving(machines) as endpoint, pubsub.serving(words) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        yield machines, words, endpoint


class Story:
    """All events of a stream so far."""

    def __init__(self, bus, stream=INSTANCES):
        self.events, self.task = [], asyncio.create_task(self._read(bus, stream))

    async def _read(self, bus, stream):
        async for batch in Consumer(bus, stream).batches():
            self.events += [delivery.envelope.event for delivery in batch]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind, count=1, seconds=20):
        async with asyncio.timeout(seconds):
            while len(self.of(kind)) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return self.of(kind)


async def test_a_preemption_that_all_three_ways_tell_is_one_and_is_replaced(
    nats_url, bus, tmp_path, cloud
):
    machines, words, endpoint = cloud
    machines.obtainability["us-central1-a"] = (0.2, "3600s")
    pool = spot_pool(gcp={**GCP, "subscription": SUBSCRIPTION}, zones=["us-central1-a"])
    settings = Settings(
        nats_url=nats_url, replica="p-t", state_dir=tmp_path, compute_endpoint=endpoint
    )
    teller = await bus("scheduler")
    story = Story(teller)
    running = asyncio.create_task(service.main(settings, [pool], PRICES))
    try:
        await teller.publish(demand(1), id="demand")
        await story.until(InstanceStarted)
        assert [name for _, name in machines.instances] == ["shoal-p-0"]
        for number, event in enumerate((admitted(0), busy(0), granted("t", 0), demand())):
            await teller.publish(event, id=f"word-{number}")
        await asyncio.sleep(0.5)
        machines.preempt("shoal-p-0", lingers=True)
        await asyncio.to_thread(publish, entry(), entry())
        (preempted,) = await story.until(InstancePreempted)
        assert preempted.source == "pubsub"
        word = NodeDraining(
            node_id="node-0", incarnation="i", instance_id="p-0", reason=f"{PREEMPTED}: so it says"
        )
        await teller.publish(word, id="word-of-the-worker")
        after = (await story.until(InstanceRequested, 2))[1]
        assert after.replaces == "p-0"
        await story.until(InstanceStarted, 2)
        machines.vanish("shoal-p-0")
        await story.until(InstanceStopped)
        assert len(story.of(InstancePreempted)) == 1
        assert sorted(words.acked) == ["1", "2"]
        assert [name for _, name in machines.instances] == ["shoal-p-1"]
        for word in story.of(ObtainabilityNoted):
            assert word.offer == f"{KIND}/us-central1-a/spot"
    finally:
        for task in (running, story.task):
            task.cancel()
        await asyncio.gather(running, story.task, return_exceptions=True)
