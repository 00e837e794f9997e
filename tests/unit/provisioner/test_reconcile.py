"""The reconciler between a host that decides at once and a driver without machines."""

import asyncio

from unit.provisioner.yard import Yard, admitted, demand, pool

from shoal_contract.states import InstanceState
from shoal_decider import Tick
from shoal_provisioner.core.messages import MachineFailed, MachineGone, MachineStarted
from shoal_provisioner.shell.drivers.base import StartError
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
    def __init__(self, *, broken=False):
        self.broken, self.up, self.calls = broken, set(), []

    async def start(self, pool, instance_id, slots):
        self.calls.append(("start", instance_id))
        await asyncio.sleep(0)
        if self.broken:
            raise StartError("no capacity")
        self.up.add(instance_id)

    async def stop(self, instance_id, grace):
        self.calls.append(("stop", instance_id))
        await asyncio.sleep(0)
        self.up.discard(instance_id)

    async def running(self):
        return set(self.up)


async def over(host, driver, seconds=0.1, patience=10.0):
    reconciler = Reconciler([driver], lambda _: driver, interval=0.01, patience=patience)
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


async def test_what_cannot_be_started_is_told():
    yard = Yard()
    yard.tell(demand(1))
    host, driver = FakeHost(yard), FakeDriver(broken=True)
    await over(host, driver)
    assert driver.calls == [("start", "p-0")]
    assert [(type(body), body.reason) for body in host.heard] == [(MachineFailed, "no capacity")]


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


async def test_what_nobody_knows_is_stopped_after_a_while():
    host, driver = FakeHost(Yard()), FakeDriver()
    driver.up.add("p-7")
    await over(host, driver)
    assert driver.calls == []
    await over(host, driver, patience=0.02)
    assert driver.calls == [("stop", "p-7")]
