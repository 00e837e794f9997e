"""A person drains one node."""

from unit.scheduler.desk import Desk, exited, join, of, want

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    NodeDraining,
    PoolDrainRequested,
    StopOrdered,
)
from shoal_contract.states import Outcome, StopReason


def drain(node, pool="default"):
    return PoolDrainRequested(pool=pool, node_id=node)


def test_its_runs_checkpoint_and_leave_and_nothing_more_is_placed_on_it():
    desk = Desk(join("a"), want("t", 2))
    events = desk.tell(drain("a"))
    (draining,) = of(events, NodeDraining)
    assert (draining.instance_id, draining.reason) == ("vm-a", "a person drains it")
    assert [e.reason for e in of(events, StopOrdered)] == [StopReason.PREEMPTED]
    assert desk.tell(drain("a")) == []
    (ended,) = of(desk.tell(exited("t", 0, "a", Outcome.STOPPED)), AllocationEnded)
    assert ended.outcome is Outcome.PREEMPTED, "its trial goes on elsewhere"
    assert of(desk.tell(want("t", 2, attempt=2)), AllocationGranted) == []
    assert of(desk.tell(join("a", incarnation="i2")), AllocationGranted)


def test_a_node_that_is_not_there_or_a_whole_pool_is_not_the_schedulers():
    desk = Desk(join("a"))
    for body in (drain("b"), drain("a", pool="other"), PoolDrainRequested(pool="default")):
        assert desk.tell(body) == []
