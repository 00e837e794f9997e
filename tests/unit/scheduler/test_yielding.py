"""Who yields, under every policy that takes slots back."""

from collections import Counter

import pytest
from unit.scheduler.desk import Desk, exited, join, of, saved, want

from shoal_contract.events import (
    AllocationGranted,
    AllocationReleasing,
    ShareChangeRequested,
    StopOrdered,
)
from shoal_contract.states import Outcome
from shoal_decider import Tick
from shoal_scheduler.core.pools import PoolConfig, Pools

LONG = 10_000.0
POLICIES = ("fair_share", "priority", "throughput")


def full(policy, *, preemptible=True, size=2, **more):
    """A full node of four slots: experiment `low` holds all of it, and has for long."""
    pools = Pools(pools={"default": PoolConfig(policy=policy, **more)})
    desk = Desk(join("n", 4, model="V100"), pools=pools)
    for number in range(4 // size):
        desk.tell(want(f"r{number}", size, experiment="low", priority=90, preemptible=preemptible))
    desk.now += LONG
    return desk


def yields(desk, after=1.0):
    return [e.allocation_id for e in of(desk.tell(Tick(), after=after), AllocationReleasing)]


@pytest.mark.parametrize("policy", POLICIES)
def test_as_many_yield_as_it_takes_and_their_slots_go_to_whom_they_were_taken_for(policy):
    desk = full(policy)
    desk.tell(want("w", 2, experiment="high", priority=10))
    (one,) = yields(desk)
    assert yields(desk) == [], "it is asked for once"
    trial = one.removesuffix("-a1")
    events = desk.tell(exited(trial, 0, "n", Outcome.PREEMPTED, experiment="low"))
    assert [e.trial_id for e in of(events, AllocationGranted)] == ["w"]


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_yields_for_one_that_would_still_not_fit(policy):
    desk = full(policy)
    desk.tell(want("w", 5, experiment="high", priority=10))
    assert yields(desk) == []
    assert yields(desk, LONG) == []


def test_who_had_to_start_anew_stays_longer():
    pools = Pools(pools={"default": PoolConfig(policy="fair_share", min_run=100)})
    desk = Desk(join("n", 2), pools=pools)
    desk.tell(want("r0", attempt=3, experiment="low"))
    desk.tell(want("r1", attempt=9, experiment="low"))
    desk.tell(want("w", experiment="high"))
    assert yields(desk, 290) == []
    assert yields(desk, 20) == ["r0-a3"]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_not_preemptible_stays(policy):
    desk = full(policy, preemptible=False)
    desk.tell(want("w", 2, experiment="high", priority=10))
    assert yields(desk) == []
    assert yields(desk, LONG) == []


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_yields_where_the_pool_does_not_preempt(policy):
    desk = full(policy, preemption=False)
    desk.tell(want("w", 2, experiment="high", priority=10))
    assert yields(desk) == []


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_yields_before_it_ran_for_a_while(policy):
    desk = full(policy)
    desk.tell(exited("r0", 0, "n", experiment="low"))
    desk.tell(exited("r1", 0, "n", experiment="low"))
    for trial in ("r2", "r3"):
        desk.tell(want(trial, 2, experiment="low", priority=90))
    desk.tell(want("w", 2, experiment="high", priority=10))
    assert yields(desk) == []


def test_who_runs_under_a_priority_that_a_person_lowered_yields():
    desk = Desk(
        join("n", 1),
        want("r", experiment="e", priority=10),
        pools=Pools(pools={"default": PoolConfig(policy="priority")}),
    )
    desk.tell(want("w", experiment="f", priority=50), after=LONG)
    assert yields(desk) == []
    lower = ShareChangeRequested(experiment_id="e", priority=90)
    assert [e.allocation_id for e in of(desk.tell(lower), AllocationReleasing)] == ["r-a1"]


def test_a_gang_of_several_models_only_where_the_pool_allows_it():
    nodes = join("a", 1, model="V100"), join("b", 1, model="P100")
    for allowed in (True, False):
        config = PoolConfig(mixed_types=allowed)
        desk = Desk(*nodes, want("t", 2, mixed_types=True), pools=Pools(pools={"default": config}))
        assert (desk.queue() == []) is allowed


def crowded(nodes, policy="priority", **more):
    """Nodes of eight slots, each held by another trial of experiment `low`, filled one by one."""
    config = PoolConfig(policy=policy, min_run=0, fit="worst", **more)
    ports = list(range(29500, 29520))
    joins = [join(f"n{number}", 8, ports=ports) for number in range(nodes)]
    desk = Desk(*joins, pools=Pools(pools={"default": config}))
    for number in range(8 * nodes):
        desk.tell(want(f"t{number}", experiment="low", priority=50), after=0.01)
    return desk


def test_a_gang_gets_as_few_nodes_as_possible_from_who_yields():
    desk = crowded(6)
    desk.tell(want("gang", 12, experiment="high", priority=1))
    events = desk.tell(Tick())
    nodes = Counter(event.node_id for event in of(events, StopOrdered))
    assert sorted(nodes.values()) == [4, 8]


def test_of_nodes_that_do_alike_those_yield_who_lose_least():
    desk = crowded(3)
    for number in range(24):
        if "n1" in desk.where(f"t{number}"):
            desk.tell(saved(f"t{number}", experiment="low"))
    desk.tell(want("gang", 8, experiment="high", priority=1, single_node=True))
    assert {event.node_id for event in of(desk.tell(Tick()), StopOrdered)} == {"n1"}


def test_the_least_important_yield_even_if_they_are_on_more_nodes():
    desk = crowded(2)
    for number in range(8):
        desk.tell(exited(f"t{number}", 0, next(iter(desk.where(f"t{number}"))), experiment="low"))
        desk.tell(want(f"least{number}", experiment="least", priority=90))
    desk.tell(want("gang", 8, experiment="high", priority=1))
    assert {name[:5] for name in yields(desk)} == {"least"}


@pytest.mark.parametrize("policy", ["fair_share", "priority"])
def test_a_whole_node_is_found_among_many(policy):
    desk = crowded(40, policy)
    desk.tell(want("gang", 8, experiment="high", priority=1, single_node=True))
    assert len(yields(desk)) == 8
    assert yields(desk) == []


def test_of_very_many_that_yield_the_rest_is_told_in_the_next_pass():
    desk = crowded(26)
    desk.tell(want("gang", 208, experiment="high", priority=1))
    first = yields(desk)
    assert len(first) == 200
    desk.tell(want("other", 1, experiment="other", priority=2))
    trial = first[0].removesuffix("-a1")
    (node,) = desk.where(trial)
    events = desk.tell(exited(trial, 0, node, Outcome.PREEMPTED, experiment="low"))
    assert len(of(events, AllocationReleasing)) == 8
    assert not of(events, AllocationGranted), "what is free is kept for the gang"


def test_a_free_slot_that_has_no_port_left_hides_nobody_who_can_yield():
    pools = Pools(pools={"default": PoolConfig(policy="priority")})
    desk = Desk(join("one", 1, model="V100"), join("two", 2, model="P100", ports=[1]), pools=pools)
    for number in range(2):
        desk.tell(want(f"r{number}", experiment="low", priority=90))
    desk.now += LONG
    events = desk.tell(want("w", experiment="high", priority=10))
    assert [e.allocation_id for e in of(events, AllocationReleasing)] == ["r0-a1"]
