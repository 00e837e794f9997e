"""Trials that come back in another size or place: for whom, and what is kept for them."""

import pytest
from unit.scheduler.desk import Desk, exited, join, notice, of, saved, want

from shoal_contract.events import AllocationGranted, AllocationReleasing
from shoal_contract.resources import SlotRange
from shoal_contract.states import Outcome
from shoal_decider import Tick
from shoal_scheduler.core.evolve import AWAY
from shoal_scheduler.core.pools import PoolConfig, Pools


def desk(*bodies, policy="priority", **more):
    config = PoolConfig(policy=policy, min_run=0, **more)
    return Desk(*bodies, pools=Pools(pools={"default": config}))


def elastic(trial="el", least=2, most=8, **more):
    return want(trial, experiment=trial, span=SlotRange(min=least, max=most), **more)


def yielding(events):
    return [e.allocation_id for e in of(events, AllocationReleasing)]


def started(events):
    return [e.trial_id for e in of(events, AllocationGranted)]


def left(trial, attempt=1):
    return exited(trial, 0, "n", Outcome.PREEMPTED, attempt=attempt, experiment=trial)


@pytest.mark.parametrize(("priority", "yields"), [(10, []), (50, ["el-a1"]), (90, ["el-a1"])])
def test_nobody_is_made_smaller_for_a_less_important_one(priority, yields):
    cluster = desk(join("n", 8), elastic(priority=priority))
    cluster.tell(want("w", 4, experiment="w", priority=50))
    assert yielding(cluster.tell(Tick())) == yields


@pytest.mark.parametrize("policy", ["fair_share", "priority", "throughput"])
def test_its_least_is_kept_for_who_comes_back(policy):
    cluster = desk(join("n", 8), elastic(least=4, priority=10), policy=policy, round=0.5)
    cluster.tell(want("w", 4, experiment="w", priority=1), after=10)
    assert yielding(cluster.tell(Tick())) == ["el-a1"]
    cluster.tell(want("v", 4, experiment="v", priority=99))
    assert started(cluster.tell(left("el"))) == ["w"]
    assert started(cluster.tell(Tick())) == []
    again = cluster.tell(elastic(least=4, attempt=2, priority=10))
    assert started(again) == ["el"]


def test_it_is_not_kept_for_ever():
    cluster = desk(join("n", 8), elastic(least=4, priority=10))
    for trial, priority in (("w", 1), ("v", 99)):
        cluster.tell(want(trial, 4, experiment=trial, priority=priority))
    cluster.tell(Tick())
    cluster.tell(left("el"))
    assert started(cluster.tell(Tick(), after=AWAY - 1)) == []
    assert started(cluster.tell(Tick(), after=1)) == ["v"]


def test_who_was_resized_keeps_its_size_for_a_while():
    cluster = desk(join("n", 8), elastic(), resize_after=100)
    for number in (1, 2):
        cluster.tell(want(f"w{number}", 2, experiment=f"w{number}"))
    cluster.tell(Tick())
    cluster.tell(left("el"))
    cluster.tell(exited("w1", 0, "n", experiment="w1"))
    cluster.tell(exited("w2", 0, "n", experiment="w2"))
    cluster.tell(elastic(attempt=2))
    assert len(cluster.where("el", 2)["n"]) == 8
    cluster.tell(want("w3", 2, experiment="w3"))
    assert yielding(cluster.tell(Tick(), after=90)) == []
    assert yielding(cluster.tell(Tick(), after=10)) == ["el-a2"]


def test_who_could_never_be_served_here_keeps_nobody_small():
    cluster = desk(join("n", 8, model="V100"), want("o", 6), resize_after=100)
    cluster.tell(elastic())
    cluster.tell(exited("o", 0, "n"))
    cluster.tell(want("t", slot_type="T4", experiment="t"))
    assert yielding(cluster.tell(saved("el", experiment="el"), after=1000)) == ["el-a1"]
    cluster.tell(left("el"))
    cluster.tell(elastic(attempt=2))
    assert len(cluster.where("el", 2)["n"]) == 8


def test_throughput_gives_what_is_free():
    cluster = desk(join("n", 8), elastic(), policy="throughput")
    assert len(cluster.where("el")["n"]) == 8


PLACES = {"resource_pools": ["a", "b", "c"], "burst_after": 100.0}


def bursting(*bodies):
    configs = {name: PoolConfig(resize_after=1) for name in "abc"}
    return Desk(*(join(name, 1, pool=name) for name in "abc"), *bodies, pools=Pools(pools=configs))


def test_who_is_reclaimed_from_a_further_pool_is_served_there_at_once():
    cluster = bursting(want("xa", pool="a"), want("t", experiment="t", **PLACES))
    cluster.tell(Tick(), after=101)
    assert cluster.where("t") == {"b": [0]}
    cluster.tell(join("b2", 1, pool="b"))
    cluster.tell(notice("b"))
    cluster.tell(exited("t", 0, "b", Outcome.PREEMPTED, experiment="t"))
    cluster.tell(want("t", attempt=2, experiment="t", **PLACES))
    assert cluster.where("t", 2) == {"b2": [0]}


def test_home_is_any_pool_that_it_prefers():
    cluster = bursting(want("xa", pool="a"), want("xb", pool="b"))
    cluster.tell(want("t", experiment="t", **PLACES))
    cluster.tell(Tick(), after=101)
    cluster.tell(Tick(), after=101)
    assert cluster.where("t") == {"c": [0]}
    cluster.tell(exited("xb", 0, "b"))
    assert yielding(cluster.tell(saved("t", experiment="t"), after=10)) == ["t-a1"]
    cluster.tell(exited("t", 0, "c", Outcome.PREEMPTED, experiment="t"))
    cluster.tell(want("other", pool="b"))
    cluster.tell(want("t", attempt=2, experiment="t", **PLACES))
    assert cluster.where("t", 2) == {"b": [0]}


def test_of_two_pools_that_have_room_the_one_it_prefers_serves():
    both = {"resource_pools": ["z", "a"], "burst_after": 100.0, "experiment": "t"}
    cluster = Desk(want("x", pool="z"), want("t", **both), join("z", 1, pool="z"))
    cluster.tell(Tick(), after=101)
    cluster.tell(join("a", 1, pool="a"))
    assert cluster.where("t") == {"a": [0]}
    cluster.tell(notice("a"))
    cluster.tell(join("a2", 1, pool="a"))
    cluster.tell(exited("x", 0, "z"))
    cluster.tell(exited("t", 0, "a", Outcome.PREEMPTED, experiment="t"))
    cluster.tell(want("t", attempt=2, **both))
    assert cluster.where("t", 2) == {"z": [0]}
