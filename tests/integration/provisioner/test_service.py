"""The provisioner as it is composed, on a real NATS server, with a sleeping worker."""

import asyncio
import sys

from unit.provisioner.yard import demand, pool

from shoal_bus.consume import Consumer
from shoal_contract.events import InstanceFailed, InstanceRequested, InstanceStarted
from shoal_contract.subjects import INSTANCES
from shoal_provisioner import __main__ as service
from shoal_provisioner.settings import Settings
from shoal_provisioner.shell.drivers.local import LocalDriver


async def names(driver):
    return {machine.instance_id for machine in await driver.machines()}


async def until(bus, kind, seconds=10):
    async with asyncio.timeout(seconds):
        async for batch in Consumer(bus, INSTANCES).batches():
            for delivery in batch:
                if isinstance(delivery.envelope.event, kind):
                    return delivery.envelope.event
    raise AssertionError(f"the stream ended before a {kind.__name__}")


async def test_demand_starts_a_machine_that_outlives_the_provisioner(
    nats_url, bus, tmp_path, monkeypatch
):
    script = [sys.executable, "-c", "import time; time.sleep(60)"]

    def driver(state_dir, url, inherited, gpus=()):
        return LocalDriver(state_dir, url, inherited, script, gpus=gpus)

    monkeypatch.setattr(service, "LocalDriver", driver)
    settings = Settings(nats_url=nats_url, replica="provisioner-t", state_dir=tmp_path)
    found = driver(tmp_path, nats_url, {})
    teller = await bus("scheduler")
    try:
        running = asyncio.create_task(service.main(settings, [pool()]))
        await teller.publish(demand(2), id="demand")
        assert (await until(teller, InstanceRequested)).instance_id == "p-0"
        await until(teller, InstanceStarted)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await names(found) == {"p-0"}
        running = asyncio.create_task(service.main(settings, [pool()]))
        await asyncio.sleep(1.5)
        assert await names(found) == {"p-0"}, "neither lost nor started twice"
        await found.stop("p-0", "", 5)  # it vanishes
        failed = await until(teller, InstanceFailed)
        assert (failed.instance_id, failed.reason) == ("p-0", "it vanished")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for name in await names(found):
            await found.stop(name, "", 0)
