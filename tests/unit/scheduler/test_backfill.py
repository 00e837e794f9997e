"""Short ones in the place of the first in line, as time passes."""

import pytest
from unit.scheduler.desk import Desk, exited, extend, join, of, report, want

from shoal_contract.events import AllocationGranted
from shoal_decider import Tick
from shoal_scheduler.core.pools import PoolConfig, Pools

POLICIES = ("fair_share", "priority")


def busy(policy, **more):
    """A node of four: `r` holds two slots and is to end in 90 s (a step a second, up to 100), `p`
    holds one for as long; one is free, and the first in line, `w`, waits for all."""
    pools = Pools(pools={"default": PoolConfig(policy=policy, preemption=False, **more)})
    desk = Desk(join("n", 4), pools=pools)
    for trial, slots in (("r", 2), ("p", 1)):
        desk.tell(want(trial, slots, priority=90), after=0)
        desk.tell(extend(trial, 100), after=0)
    for trial in ("r", "p"):
        desk.tell(report(trial, 1, 5, desk.now + 5), after=0)
    desk.now += 5
    for trial in ("r", "p"):
        desk.tell(report(trial, 1, 10, desk.now + 5), after=0)
    desk.now += 5
    desk.tell(want("w", 4, experiment="first", priority=10), after=0)
    return desk


def short(desk, trial, target, after=0.0):
    """One slot, for as many seconds as `target`: who starts."""
    one = want(trial, priority=90)
    task = one.task.model_copy(update={"target": target})
    return started(desk.tell(one.model_copy(update={"task": task}), after=after))


def started(events):
    return [e.trial_id for e in of(events, AllocationGranted)]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_place_is_given_for_less_and_less_time(policy):
    desk = busy(policy)
    assert short(desk, "long", 91) == []
    assert short(busy(policy), "b", 90) == ["b"]
    assert short(busy(policy), "b", 40, after=51) == []
    assert short(busy(policy), "b", 40, after=49) == ["b"]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_first_in_line_starts_when_it_would_have(policy):
    desk = busy(policy)
    assert short(desk, "b", 30) == ["b"]
    assert short(desk, "c", 30) == [], "nothing is free"
    assert started(desk.tell(exited("b", 0, "n"), after=30)) == ["c"], "60 s are left"
    desk.tell(exited("c", 0, "n"), after=30)
    assert short(desk, "d", 31) == [], "30 s are left"
    desk.tell(exited("r", 0, "n"), after=30)
    assert started(desk.tell(exited("p", 0, "n"), after=0)) == ["w"]


@pytest.mark.parametrize("policy", POLICIES)
def test_one_that_takes_longer_than_predicted_is_the_last_one(policy):
    desk = busy(policy)
    assert short(desk, "b", 90) == ["b"]
    desk.tell(exited("r", 0, "n"), after=90)
    assert started(desk.tell(exited("p", 0, "n"), after=0)) == []
    assert short(desk, "c", 1) == [], "the place is needed now"
    assert started(desk.tell(Tick(), after=5)) == []
    assert "w" in started(desk.tell(exited("b", 0, "n")))


@pytest.mark.parametrize("policy", POLICIES)
def test_one_that_started_there_does_not_end_the_prediction(policy):
    """It has reported nothing: it is taken to end as it was when it started."""
    desk = busy(policy)
    short(desk, "b", 30)
    desk.tell(Tick(), after=10)
    desk.tell(exited("p", 0, "n"), after=0)
    assert short(desk, "c", 70) == ["c"]


def test_throughput_keeps_a_place_for_who_starves():
    for target, starts in ((89, ["b"]), (90, [])):
        desk = busy("throughput", round=0.01)
        assert short(desk, "b", target, after=1) == starts


@pytest.mark.parametrize("policy", [*POLICIES, "throughput"])
@pytest.mark.parametrize("count", [31, 32, 100])
def test_a_small_one_is_found_behind_many_that_find_no_place(policy, count):
    pools = Pools(pools={"default": PoolConfig(policy=policy, preemption=False)})
    desk = Desk(join("n", 8), join("m", 8), want("x", 8), want("y", 4), pools=pools)
    for number in range(count):
        desk.tell(want(f"h{number}", 8, experiment=f"h{number}", priority=10))
    for number in range(4):
        desk.tell(want(f"s{number}", experiment=f"s{number}", priority=50))
    assert desk.queue() == [f"h{number}" for number in range(count)]


def test_those_behind_it_that_are_like_it_start_with_it():
    pools = Pools(pools={"default": PoolConfig(policy="priority", preemption=False)})
    desk = Desk(join("n", 8), join("m", 8), want("x", 8), want("y", 8, experiment="y"), pools=pools)
    for number in range(40):
        desk.tell(want(f"h{number}", 8, experiment=f"h{number}", priority=10))
    for number in range(4):
        desk.tell(want(f"s{number}", experiment="s", priority=50))
    small = [f"s{number}" for number in range(4)]
    assert started(desk.tell(join("k", 4))) == small
