"""What shares ask for, kept from pass to pass."""

from unit.scheduler.desk import exited, join, want

from shoal_contract.events import AllocationReleasing
from shoal_decider import Message, Runner, Tick
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.pools import PoolConfig, Pools


class Told:
    """A scheduler with a pool of `fair_share`, as its host runs it."""

    def __init__(self, *bodies):
        pools = Pools(pools={"default": PoolConfig(policy="fair_share", min_run=0.0)})
        self.runner, self.count = Runner.of(SchedulerDecider(pools)), 0
        for body in bodies:
            self.tell(body)

    def tell(self, body):
        self.count += 1
        return self.runner.tell(Message(f"m{self.count}", 1000.0 + self.count, body))

    @property
    def asks(self):
        return self.runner.state.index.asks


def test_owners_that_came_and_went_are_not_kept():
    told = Told(join("n"), want("e-0"))
    for n in range(1, 20):
        told.tell(want(f"e{n}-0", experiment=f"e{n}"))
        told.tell(exited(f"e{n}-0", 0, "n", experiment=f"e{n}"))
        told.tell(Tick())
    assert len(told.asks) == 1


def test_a_share_follows_what_its_owner_asks_for():
    """Two owners of four slots: who holds them all gives two back, once the other asks for two."""
    held = [want(f"a-{n}", experiment="a") for n in range(4)]
    told = Told(join("n", 4), *held, want("b-0", experiment="b"))
    first = [e for e in told.tell(Tick()) if isinstance(e, AllocationReleasing)]
    assert len(first) == 1
    told.tell(want("b-1", experiment="b"))
    then = [e for e in told.tell(Tick()) if isinstance(e, AllocationReleasing)]
    assert len(then) == 1
    told.tell(want("b-2", experiment="b"))
    assert not [e for e in told.tell(Tick()) if isinstance(e, AllocationReleasing)]
