"""Laws that every driver obeys. A driver's test subclasses `DriverLaws`, once:

class TestLocal(DriverLaws):
    async def new(self): return LocalDriver(...)      # each call as after a restart
    async def foreign(self): ...                      # a machine that is not ours; returns a check
    async def kill(self, name): ...                   # ends a machine behind the driver's back
"""

import asyncio
from typing import Any

import pytest

from shoal_provisioner.shell.drivers.base import Machine, Order, StartError


async def eventually(check: Any, seconds: float = 10.0) -> None:
    """Wait until a look at the world says yes."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class DriverLaws:
    zone = "us-central1-a"
    kind = "n1-standard-8"
    slots = 1
    spot = True

    async def new(self) -> Any:
        """A driver that knows nothing but what is there."""
        raise NotImplementedError

    async def foreign(self) -> Any:
        """Makes a machine without our mark; returns what tells whether it is still there."""
        raise NotImplementedError

    async def kill(self, name: str) -> None:
        """Ends a machine behind the driver's back."""
        raise NotImplementedError

    def order(self, number: int) -> Order:
        return Order("p", f"p-{number}", self.slots, self.kind, self.zone, self.spot)

    async def names(self, driver: Any) -> list[str]:
        return sorted(machine.instance_id for machine in await driver.machines())

    async def test_what_is_ordered_is_there_with_all_its_marks(self) -> None:
        driver = await self.new()
        assert await driver.machines() == []
        assert dict(await driver.start([self.order(0)])) == {}
        assert await driver.machines() == [Machine("p", "p-0", self.kind, self.zone, self.spot)]

    async def test_many_start_in_one_go(self) -> None:
        driver = await self.new()
        assert dict(await driver.start([self.order(n) for n in range(3)])) == {}
        assert await self.names(driver) == ["p-0", "p-1", "p-2"]

    async def test_the_same_order_twice_makes_one_machine(self) -> None:
        driver = await self.new()
        await driver.start([self.order(0)])
        assert dict(await driver.start([self.order(0)])) == {}
        later = await self.new()
        assert dict(await later.start([self.order(0), self.order(1)])) == {}
        assert await self.names(later) == ["p-0", "p-1"]

    async def test_a_stopped_machine_is_gone_and_never_comes_again(self) -> None:
        driver = await self.new()
        await driver.start([self.order(0), self.order(1)])
        await driver.stop("p-0", self.zone, 5.0)
        await driver.stop("p-0", self.zone, 5.0)
        assert await self.names(driver) == ["p-1"]
        assert not await driver.was_preempted("p-0", self.zone)
        failed = await driver.start([self.order(0)])
        assert isinstance(failed["p-0"], StartError)
        assert "p-0" in str(failed["p-0"])
        assert await self.names(driver) == ["p-1"]

    async def test_stopping_what_never_was_does_no_harm(self) -> None:
        driver = await self.new()
        await driver.start([self.order(0)])
        await driver.stop("p-7", self.zone, 0.0)
        assert await self.names(driver) == ["p-0"]

    async def test_another_driver_sees_and_stops_the_same_machines(self) -> None:
        await (await self.new()).start([self.order(0)])
        later = await self.new()
        assert await self.names(later) == ["p-0"]
        await later.stop("p-0", self.zone, 5.0)
        assert await self.names(await self.new()) == []

    async def test_a_machine_that_ends_by_itself_is_seen(self) -> None:
        driver = await self.new()
        await driver.start([self.order(0), self.order(1)])
        await self.kill("p-0")

        async def gone() -> bool:
            return await self.names(driver) == ["p-1"]

        await eventually(gone)

    async def test_what_has_not_our_mark_is_neither_seen_nor_touched(self) -> None:
        still_there = await self.foreign()
        if still_there is None:
            pytest.skip("there is nothing but ours")
        driver = await self.new()
        assert await driver.machines() == []
        await driver.stop("p-99", self.zone, 0.0)
        assert await still_there()
