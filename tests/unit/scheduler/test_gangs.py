"""Ranges, preemption, bursting, slots that fail."""

import pytest
from unit.scheduler.desk import Desk, exited, join, leave, of, report, saved, stops, want

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationProgressed,
    AllocationReleasing,
    AllocationWidened,
    DemandChanged,
    NodeRemoved,
    SlotSetAside,
    StartOrdered,
    Want,
)
from shoal_contract.resources import SlotRange
from shoal_contract.states import Outcome, StopReason
from shoal_decider import Tick
from shoal_scheduler.core.pools import PoolConfig, Pools

PRIORITY = Pools(pools={"default": PoolConfig(policy="priority", min_run=0)})
FAIR = Pools(pools={"default": PoolConfig(policy="fair_share", preemption=False)})
ELASTIC = {"span": SlotRange(min=2, max=8)}


def told(desk, trial, step, after=60.0):
    return desk.tell(report(trial, 1, step, desk.now + after), after=after)


def yielding(events):
    return [e.allocation_id for e in of(events, AllocationReleasing)]


def test_an_elastic_trial_takes_what_is_free():
    desk = Desk(join("n1", 4), join("n2", 1), want("t", **ELASTIC))
    assert desk.where("t") == {"n1": [0, 1, 2, 3], "n2": [0]}


def test_an_elastic_trial_takes_its_least_if_others_wait():
    desk = Desk(want("t", **ELASTIC), want("u", 3, experiment="f"), join("n", 5))
    assert desk.where("t") == {"n": [0, 1]}
    assert desk.where("u") == {"n": [2, 3, 4]}


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        ({}, 0),
        ({"node_labels": {"disk": "fast"}}, 6), ({"slot_memory": 80}, 6),
        ({"single_node": True}, 6), ({"slot_type": "v100"}, 6), ({"slots": 9}, 6),
        ({"slots": 9, "node_labels": {"disk": "slow"}}, 6), ({"node_labels": {"disk": "slow"}}, 0),
    ],
)  # fmt: skip
def test_only_who_could_ever_be_served_keeps_an_elastic_trial_small(other, taken):
    nodes = [join(name, 4, memory=16, disk="slow") for name in ("n1", "n2")]
    waits = want("u", **({"slots": 7, "experiment": "f"} | other))
    desk = Desk(*nodes, want("w", 2), waits, want("t", **ELASTIC), pools=FAIR)
    assert not desk.where("u")
    assert sum(map(len, desk.where("t").values())) == taken


def test_an_elastic_trial_keeps_to_max_slots():
    desk = Desk(join("n", 8), want("t", limit=3, **ELASTIC))
    assert desk.where("t") == {"n": [0, 1, 2]}


def test_it_grows_at_a_checkpoint_after_a_while_and_keeps_its_place():
    desk = Desk(join("n1", 2), want("t", **ELASTIC), join("n2", 4))
    assert yielding(desk.tell(saved("t"))) == [], "it has just begun"
    events = desk.tell(saved("t"), after=1000)
    assert yielding(events) == ["t-a1"]
    assert [reason for _, reason, _ in stops(events)] == [StopReason.PREEMPTED]
    number = desk.state.allocations["t-a1"].number
    desk.tell(exited("t", 0, "n1", Outcome.PREEMPTED))
    desk.tell(want("t", attempt=2, **ELASTIC))
    assert desk.where("t", 2) == {"n2": [0, 1, 2, 3], "n1": [0, 1]}
    assert desk.state.allocations["t-a2"].number == number


@pytest.mark.parametrize(("more", "grows"), [(1, False), (2, True)])
def test_it_does_not_move_for_a_little_more(more, grows):
    desk = Desk(join("n1", 4), want("t", **ELASTIC), join("n2", more))
    assert bool(yielding(desk.tell(saved("t"), after=1000))) is grows


def test_it_shrinks_instead_of_being_thrown_out():
    desk = Desk(join("n", 8), pools=PRIORITY)
    desk.tell(want("t", priority=50, **ELASTIC))
    assert desk.where("t") == {"n": list(range(8))}
    desk.tell(want("r", priority=50))
    assert yielding(desk.tell(Tick())) == ["t-a1"], "a peer makes room, if it can come back smaller"
    desk.tell(want("u", 4, experiment="f", priority=50))
    events = desk.tell(exited("t", 0, "n", Outcome.PREEMPTED))
    assert {g.trial_id for g in of(events, AllocationGranted)} == {"r", "u"}
    desk.tell(want("t", attempt=2, priority=50, **ELASTIC))
    assert len(desk.where("t", 2)["n"]) in (2, 3)


def test_it_stays_if_it_could_not_come_back():
    desk = Desk(join("n", 8), want("t", **ELASTIC))
    desk.tell(want("whole", 8))
    assert yielding(desk.tell(Tick())) == []


def test_who_loses_least_yields():
    desk = Desk(join("n", 2), want("a", priority=50), want("b", priority=50), pools=PRIORITY)
    desk.tell(saved("a"), after=100)
    desk.tell(want("h", priority=1))
    assert yielding(desk.tell(Tick())) == ["a-a1"]
    assert desk.tell(Tick()) == []


def test_who_just_began_does_not_yield():
    pools = Pools(pools={"default": PoolConfig(policy="priority", min_run=100)})
    desk = Desk(join("n", 1), want("a", priority=50), want("h", priority=1), pools=pools)
    assert desk.tell(Tick(), after=50) == []
    assert yielding(desk.tell(Tick(), after=50)) == ["a-a1"]


def test_waiting_ages():
    pools = Pools(pools={"default": PoolConfig(policy="priority", ageing=10, preemption=False)})
    desk = Desk(join("n", 1), want("a"), want("old", priority=12), pools=pools)
    desk.tell(Tick(), after=100)
    desk.tell(want("new", priority=10, experiment="f"))
    assert [g.trial_id for g in of(desk.tell(exited("a", 0, "n")), AllocationGranted)] == ["old"]


def test_a_speed_is_noted_when_it_is_news():
    desk = Desk(join("n", 1), want("t"))
    (first,) = told(desk, "t", 100)
    assert (first.step, first.speed) == (100, None)
    (second,) = told(desk, "t", 160)
    assert isinstance(second, AllocationProgressed)
    assert second.speed == second.pace == 1.0
    assert told(desk, "t", 221) == []
    assert of(told(desk, "t", 1000), AllocationProgressed)
    assert desk.state.speeds == {"1 true": {"cpu": pytest.approx(6.98, 0.1)}}


def test_the_wait_of_the_first_in_line_is_estimated():
    desk = Desk(
        join("n", 4), want("a", 2), pools=Pools(pools={"default": PoolConfig(policy="priority")})
    )
    for step in (1, 2):
        told(desk, "a", step)
    desk.tell(want("w", 4, experiment="f"))
    desk.tell(want("x", 1, experiment="g"))
    said = {e.trial_id: e.why for e in desk.said}
    assert said == {"w": "room", "x": "reserved"}


def test_after_a_while_the_next_pool_serves_too_and_home_is_better():
    resources = {"resource_pools": ["home", "cloud"], "burst_after": 100.0}
    desk = Desk(join("n", 1, pool="home"), want("a", **resources), want("b", **resources))
    assert desk.state.demand == {"home": [Want(slots=1, count=1)]}
    assert desk.tell(Tick()) == []
    events = desk.tell(Tick(), after=200)
    assert [e.pool for e in of(events, AllocationWidened)] == ["cloud"]
    assert {e.pool: e.wants for e in of(events, DemandChanged)} == {
        "home": [],
        "cloud": [Want(slots=1, count=1)],
    }
    assert of(desk.tell(join("c", 1, pool="cloud")), AllocationGranted)
    assert yielding(desk.tell(saved("b"), after=1000)) == []
    desk.tell(exited("a", 0, "n"))
    assert yielding(desk.tell(saved("b"), after=1000)) == ["b-a1"]


def test_a_slot_on_which_unlike_runs_fail_is_put_aside():
    desk = Desk(join("n", 1))
    for number in range(3):
        desk.tell(want(f"t{number}", experiment=f"e{number}"))
        events = desk.tell(exited(f"t{number}", 0, "n", Outcome.FAILED, experiment=f"e{number}"))
    (aside,) = of(events, SlotSetAside)
    assert (aside.slot, aside.reason) == (0, "runs of e0, e1, e2 failed on it, and none completed")
    assert not of(desk.tell(want("u")), AllocationGranted)
    desk.tell(join("n", 1, incarnation="i2"))
    assert desk.where("u") == {"n": [0]}


def test_a_node_whose_slots_are_all_aside_leaves_after_the_others():
    desk = Desk(join("n1", 1))
    for number in range(3):
        name = f"e{number}"
        desk.tell(want(f"t{number}", experiment=name))
        desk.tell(exited(f"t{number}", 0, "n1", Outcome.FAILED, experiment=name))
    assert desk.state.nodes["n1"].aside
    desk.tell(join("n2", 1))
    for node in ("n2", "n1"):
        assert of(desk.tell(leave(node)), NodeRemoved)
    desk.tell(want("t"))
    assert of(desk.tell(join("n3", 1)), AllocationGranted)


def test_a_script_that_fails_always_puts_no_slot_aside():
    desk = Desk(join("n", 1))
    for number in range(9):
        desk.tell(want(f"t{number}"))
        assert not of(desk.tell(exited(f"t{number}", 0, "n", Outcome.FAILED)), SlotSetAside)


def test_a_gang_may_be_of_several_models_if_it_says_so():
    nodes = join("p", 2, model="P100"), join("v", 2, model="V100")
    assert Desk(*nodes, want("t", 3)).queue() == ["t"]
    assert set(Desk(*nodes, want("t", 3, mixed_types=True)).where("t")) == {"p", "v"}


FAILED_THERE = {"outcome": Outcome.FAILED, "reason": "rank 1: boom", "failed_at": 100.0}
ECHOED = {"outcome": Outcome.FAILED, "reason": "closed by peer", "failed_at": 99.0, "echo": True}


@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        (ECHOED, FAILED_THERE, "rank 1: boom"),
        (FAILED_THERE, ECHOED, "rank 1: boom"),
        (FAILED_THERE, {**FAILED_THERE, "reason": "rank 0: b", "failed_at": 99.9}, "rank 0: b"),
        (FAILED_THERE, {"outcome": Outcome.STOPPED, "reason": "told to"}, "rank 1: boom"),
        (ECHOED, {"outcome": Outcome.STOPPED, "reason": "told to"}, "closed by peer"),
        ({"outcome": Outcome.FAILED, "reason": "an old worker's word"}, ECHOED, "closed by peer"),
    ],
)
def test_a_gang_failed_for_the_first_reason_that_is_no_echo(first, then, reason):
    desk = Desk(join("n1", 1), join("n2", 1), want("t", 2))
    desk.tell(exited("t", 0, "n1", **first))
    (end,) = of(desk.tell(exited("t", 1, "n2", **then)), AllocationEnded)
    assert (end.outcome, end.reason) == (Outcome.FAILED, reason)


def test_only_the_slot_of_the_cause_is_blamed():
    desk = Desk(join("n1", 1), join("n2", 1))
    for number in range(3):
        names = {"experiment": f"e{number}"}
        desk.tell(want(f"t{number}", 2, **names))
        nodes = list(desk.where(f"t{number}"))
        place = nodes.index("n1")
        desk.tell(exited(f"t{number}", place, "n1", **ECHOED, **names))
        events = desk.tell(exited(f"t{number}", 1 - place, "n2", **FAILED_THERE, **names))
    assert [e.node_id for e in of(events, SlotSetAside)] == ["n2"]


def test_each_machine_of_a_gang_is_told_how_many_there_are():
    desk = Desk(join("n1", 3), join("n2", 1))
    orders = [event.run for event in of(desk.tell(want("t", 4)), StartOrdered)]
    assert [(o.node_rank, len(o.slots), o.nodes) for o in orders] == [(0, 3, 2), (1, 1, 2)]
