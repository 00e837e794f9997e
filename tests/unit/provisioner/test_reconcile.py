"""The reconciler between a host that decides at once and a driver without machines."""

import asyncio
import random

import pytest
from unit.provisioner.yard import Yard, admitted, demand, pool

from shoal_contract.states import InstanceState
from shoal_decider import Tick
from shoal_provisioner.core.messages import (
    MachineFailed,
    MachineGone,
    MachinePreempted,
    MachineStarted,
)
from shoal_provisioner.shell.drivers.base import Machine, StartError
from shoal_provisioner.shell.drivers.simulated import Cloud, SimulatedDriver
from shoal_provisioner.shell.reconcile import Reconciler


class FakeHost:
    def __init__(self, yard):
        self.yard, self.leading, self.heard = yard, asyncio.Event(), []
        self.leading.set()

    @property
    def state(self):
        return self.yard.state

    def tell(self, body, id=None):
        self.heard.append(body)
        self.yard.tell(body)

    async def told(self, body, id=None):
        self.tell(body, id)


class FakeDriver:
    poll = 0.0

    def __init__(self, *, broken=False):
        self.broken, self.up, self.calls, self.taken = broken, set(), [], set()
        self.frozen, self.batches = None, 0

    async def start(self, orders):
        self.batches += 1
        self.calls += [("start", order.instance_id) for order in orders]
        await asyncio.sleep(0)
        names = {order.instance_id for order in orders}
        if self.broken:
            return {name: StartError("no capacity", "stock_out") for name in names}
        self.up |= names
        return {}

    async def stop(self, instance_id, zone, grace, *, told=False):
        self.calls.append(("stop", instance_id))
        await asyncio.sleep(0)
        self.up.discard(instance_id)

    async def machines(self):
        names = sorted(self.up if self.frozen is None else self.frozen)
        return [
            Machine("p", name, "local", "local", preempted=name in self.taken) for name in names
        ]

    async def was_preempted(self, instance_id, zone):
        return instance_id in self.taken


async def over(host, driver, seconds=0.1, patience=10.0):
    reconciler = Reconciler([driver], lambda _pool, _zone: driver, interval=0.01, patience=patience)
    await reconciler.led(host.state)
    task = asyncio.create_task(reconciler.run(host))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_requested_is_started_once():
    yard = Yard()
    yard.tell(demand(4))
    host, driver = FakeHost(yard), FakeDriver()
    await over(host, driver)
    assert driver.calls == [("start", "p-0"), ("start", "p-1")]
    assert [type(body) for body in host.heard] == [MachineStarted, MachineStarted]
    assert driver.batches == 1, "in one go"


async def test_what_cannot_be_started_is_told():
    yard = Yard()
    yard.tell(demand(1))
    host, driver = FakeHost(yard), FakeDriver(broken=True)
    await over(host, driver)
    assert driver.calls == [("start", "p-0")]
    assert [(type(body), body.reason, body.cause) for body in host.heard] == [
        (MachineFailed, "no capacity", "stock_out")
    ]


async def test_what_is_to_stop_is_stopped_and_told():
    yard = Yard(pool(max_idle_period=1))
    yard.tell(demand(1))
    yard.up(0)
    yard.tell(demand())
    yard.tell(Tick(), 5)
    assert yard.state.instances["p-0"].state is InstanceState.STOPPING
    host, driver = FakeHost(yard), FakeDriver()
    driver.up.add("p-0")
    await over(host, driver)
    assert driver.calls == [("stop", "p-0")]
    assert yard.state.instances == {}


async def test_what_vanished_is_told_once():
    yard = Yard()
    yard.tell(demand(1))
    yard.tell(admitted(0))
    yard.tell(demand())
    host, driver = FakeHost(yard), FakeDriver()
    await over(host, driver)
    assert [type(body) for body in host.heard] == [MachineGone]
    assert yard.state.instances == {}


async def test_an_old_look_at_the_machines_says_nothing_of_new_ones():
    yard = Yard()
    yard.tell(demand(1))
    host, driver = FakeHost(yard), FakeDriver()
    driver.poll = 60.0
    await over(host, driver)
    assert [type(body) for body in host.heard] == [MachineStarted]


async def test_a_machine_that_its_cloud_takes_back_is_told_once():
    yard = Yard()
    yard.tell(demand(1))
    yard.tell(admitted(0))
    yard.tell(demand())
    host, driver = FakeHost(yard), FakeDriver()
    driver.up, driver.taken = {"p-0"}, {"p-0"}
    await over(host, driver)
    assert [type(body) for body in host.heard] == [MachinePreempted, MachineGone]
    assert driver.calls == [("stop", "p-0")]


async def test_what_nobody_knows_is_stopped_after_a_while():
    host, driver = FakeHost(Yard()), FakeDriver()
    driver.up.add("p-7")
    await over(host, driver)
    assert driver.calls == []
    await over(host, driver, patience=0.02)
    assert driver.calls == [("stop", "p-7")]


@pytest.mark.parametrize("seed", range(4))
async def test_no_machine_is_left_behind_whatever_happens(seed):
    """Preemptions, failed starts, machines that vanish, workers that never join, lost records."""
    chance = random.Random(seed)
    cloud = Cloud({"simulated": lambda now: chance.randint(0, 5)})
    its = pool(
        driver="simulated", provisioning="spot", fallback_after=5, max_idle_period=3,
        max_starting_period=8,
    )  # fmt: skip
    yard = Yard(its)
    host, driver = FakeHost(yard), SimulatedDriver(cloud, lambda: yard.now)
    reconciler = Reconciler([driver], lambda _pool, _zone: driver, interval=0.005, patience=0.02)
    await reconciler.led(host.state)
    task = asyncio.create_task(reconciler.run(host))
    for step in range(120):
        happens = chance.random() if step < 80 else 1.0
        if happens < 0.2:
            yard.tell(demand(*[1] * chance.randint(0, 6)))
        elif happens < 0.5 and cloud.up:
            yard.tell(admitted(int(chance.choice(sorted(cloud.up))[2:])))
        elif happens < 0.6 and cloud.up:
            cloud.stop(chance.choice(sorted(cloud.up)))
        elif happens < 0.65:
            yard.state, yard.states = yard.decider.initial(), {}
            await reconciler.led(host.state)
        elif step == 80:
            yard.tell(demand())
        yard.tell(Tick(), 1.0)
        await asyncio.sleep(0.01)
    for _ in range(200):
        yard.tell(Tick(), 1.0)
        await asyncio.sleep(0.01)
        if not cloud.up and not yard.state.instances:
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(cloud.ended) > 2
    assert cloud.up == {}
    assert yard.state.instances == {}
