"""What people change while the queue runs."""

from unit.scheduler.desk import Desk, exited, join, of, want

from shoal_contract.events import (
    AllocationGranted,
    AllocationMoved,
    DemandChanged,
    ShareChanged,
    ShareChangeRequested,
    TrialMoveRequested,
    Want,
)
from shoal_decider import Tick
from shoal_scheduler.core.explain import explain
from shoal_scheduler.core.pools import PoolConfig, Pools, Workspace


def change(experiment="e", **what):
    return ShareChangeRequested(experiment_id=experiment, **what)


def granted(events):
    return [event.trial_id for event in of(events, AllocationGranted)]


def test_a_hold_keeps_what_waits_and_lets_what_runs():
    desk = Desk(join("n", 1), want("a"), want("b"))
    assert [e.hold for e in of(desk.tell(change(hold=True)), ShareChanged)] == [True]
    assert desk.tell(change(hold=True)) == []
    assert granted(desk.tell(exited("a", 0, "n"))) == []
    assert desk.state.demand == {"default": []}
    assert explain(desk.state, "b") == "b waits: a person holds its experiment."
    assert granted(desk.tell(change(hold=False))) == ["b"]


def test_max_slots_can_be_changed_and_lifted():
    desk = Desk(join("n", 4), want("a"), want("b"), want("c"), change(max_slots=3))
    assert granted(desk.tell(want("d"))) == []
    assert granted(desk.tell(change(max_slots=0))) == ["d"]
    limited = Desk(join("n", 4), *(want(f"t{n}", limit=2) for n in range(4)))
    assert granted(limited.tell(change(max_slots=3))) == ["t2"]


def test_a_priority_counts_at_once():
    pools = Pools(pools={"default": PoolConfig(policy="priority", preemption=False)})
    desk = Desk(join("n", 1), want("r", experiment="r"), want("a"), pools=pools)
    desk.tell(want("b", experiment="f"))
    desk.tell(change("f", priority=1))
    assert granted(desk.tell(exited("r", 0, "n", experiment="r"))) == ["b"]


def test_a_weight_counts_at_once():
    pools = Pools(pools={"default": PoolConfig(policy="fair_share")})
    names = [("e", n) for n in range(9)] + [("f", n) for n in range(9)]
    desk = Desk(*(want(f"{e}{n}", experiment=e) for e, n in names), pools=pools)
    desk.tell(change("f", weight=3))
    assert sorted(granted(desk.tell(join("n", 8)))) == sorted(
        ["e0", "e1", *(f"f{n}" for n in range(6))]
    )


def test_ahead_of_another():
    desk = Desk(join("n", 1), want("r"), *(want(name, experiment=name) for name in "abcd"))
    move = TrialMoveRequested(experiment_id="d", trial_id="d", ahead_of="b")
    assert of(desk.tell(move), AllocationMoved)
    assert desk.tell(move) == []
    order = []
    last = "r"
    for _ in range(4):
        experiment = "e" if last == "r" else last
        (last,) = granted(desk.tell(exited(last, 0, "n", experiment=experiment)))
        order.append(last)
    assert order == ["a", "d", "b", "c"]
    assert desk.tell(TrialMoveRequested(experiment_id="d", trial_id="x", ahead_of="b")) == []


def test_a_workspace_holds_no_more_than_its_quota():
    pools = Pools(workspaces={"w": Workspace(max_slots=2)})
    desk = Desk(
        join("n", 4),
        want("a", workspace="w"),
        want("b", experiment="f", workspace="w"),
        pools=pools,
    )
    assert granted(desk.tell(want("c", experiment="g", workspace="w"))) == []
    assert desk.state.demand.get("default", []) == []
    assert explain(desk.state, "c") == (
        "c waits: workspace w holds 2 of its 2 slots, and this trial needs 1."
    )
    assert granted(desk.tell(want("d", experiment="h"))) == ["d"]
    assert granted(desk.tell(exited("a", 0, "n"))) == ["c"]


def test_demand_counts_the_quota():
    pools = Pools(workspaces={"w": Workspace(max_slots=4)})
    desk = Desk(*(want(f"t{n}", workspace="w") for n in range(9)), pools=pools)
    assert of([*desk.tell(want("u", workspace="w"))], DemandChanged) == []
    assert desk.state.demand == {"default": [Want(slots=1, count=4)]}


def test_why_is_said_when_it_becomes_another():
    desk = Desk(join("n", 1), want("a"), want("b"), want("c", experiment="f"))
    assert [(e.trial_id, e.why) for e in desk.said] == [("b", "behind"), ("c", "behind")]
    desk.tell(Tick())
    assert [(e.trial_id, e.why) for e in desk.said[2:]] == [("b", "room")]
    desk.tell(exited("a", 0, "n"))
    desk.tell(Tick())
    assert [(e.trial_id, e.why) for e in desk.said[3:]] == [("c", "room")]
    assert "first in line" in desk.said[-1].reason
