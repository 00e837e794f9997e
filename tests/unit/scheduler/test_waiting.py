"""Why things wait and when they are to start, as they are told it again and again."""

from typing import Any

import pytest
from unit.scheduler.desk import Desk, exited, extend, join, report, want

from shoal_contract.events import AllocationWaiting, TrialMoveRequested
from shoal_decider import Tick
from shoal_scheduler.core.explain import explain
from shoal_scheduler.core.forecast import line_up
from shoal_scheduler.core.pools import PoolConfig, Pools


def pools(policy: str, **more: object) -> Pools:
    return Pools(pools={"default": PoolConfig(policy=policy, preemption=False, **more)})


def busy(policy: str = "fifo") -> Desk:
    """A node of two: `r` is to end at 1110, `s` at 1210; it is 1020."""
    desk = Desk(pools=pools(policy))
    desk.tell(join("n", 2), after=0)
    for trial, target in (("r", 100), ("s", 200)):
        desk.tell(want(trial), after=0)
        desk.tell(extend(trial, target), after=0)
    for step in (1, 2):
        for trial in ("r", "s"):
            desk.tell(report(trial, 1, 5 * step, 1010.0 + 5 * step), after=0)
    desk.now = 1020.0
    return desk


def news(desk: Desk, trial: str, seconds: float) -> list[AllocationWaiting]:
    """What one is told in as many Ticks, a second apart."""
    desk.said.clear()
    for _ in range(int(seconds)):
        desk.tell(Tick(), after=1)
    return [event for event in desk.said if event.trial_id == trial]


@pytest.mark.parametrize("policy", ["fifo", "fair_share", "priority", "throughput"])
def test_the_first_in_line_are_told_when_and_after_whose_end(policy: str) -> None:
    desk = busy(policy)
    desk.tell(want("a"), after=0)
    desk.tell(want("b"), after=0)
    *_, told = news(desk, "a", 10)
    assert told.again
    assert told.expected_at == pytest.approx(1110, abs=2)
    assert told.reason == (
        "a waits for 1 slot of pool default: 0 of 2 are free, and it is first in line;"
        " it should start when r has ended."
    )
    *_, other = [event for event in desk.said if event.trial_id == "b"]
    assert other.expected_at == pytest.approx(1120, abs=2), "a has ten steps to make"
    assert "1 trial is ahead of it; it should start when a has ended" in other.reason


def test_a_gang_waits_for_several_ends() -> None:
    desk = busy()
    desk.tell(want("a", 2), after=0)
    *_, told = news(desk, "a", 10)
    assert told.expected_at == pytest.approx(1210, abs=2)
    assert told.reason.endswith("it should start when s and r have ended.")


def test_who_waits_in_two_pools_is_told_of_the_earlier_start_and_once() -> None:
    desk = busy()
    desk.tell(join("m", 1, pool="far"), after=0)
    desk.tell(want("x", pool="far"), after=0)
    desk.tell(extend("x", 1000), after=0)
    desk.tell(want("a", resource_pools=["far", "default"], burst_after=1), after=0)
    *_, told = news(desk, "a", 10)
    assert told.pools == ["far", "default"]
    assert told.expected_at == pytest.approx(1110, abs=2)
    assert news(desk, "a", 20) == []


def test_of_what_two_pools_found_what_gives_more_hope_is_told_once() -> None:
    far = PoolConfig(policy="priority", min_run=0)
    desk = Desk(pools=Pools(pools={"default": PoolConfig(), "far": far}))
    desk.tell(join("n", 1), after=0)
    desk.tell(join("m", 1, pool="far"), after=0)
    desk.tell(want("r"), after=0)
    desk.tell(want("x", pool="far", priority=50), after=0)
    desk.tell(want("a", resource_pools=["far", "default"], burst_after=1, priority=1), after=0)
    said = news(desk, "a", 9)
    assert desk.state.of_trial("a").pools == ["far", "default"]
    assert said[-1].why == "leaving"
    assert [event.why for event in said].count("leaving") == 1


def test_what_is_no_news_is_not_said_and_what_is_is() -> None:
    desk = busy()
    desk.tell(want("a", 2), after=0)
    assert news(desk, "a", 10)
    assert news(desk, "a", 30) == []
    desk.tell(exited("r", 0, "n"), after=0)
    *_, told = news(desk, "a", 10)
    assert "1 of 2 are free" in told.reason
    assert told.reason.endswith("it should start when s has ended.")


def test_of_whose_end_nobody_can_tell_nobody_is_told() -> None:
    desk = Desk(join("n", 1), want("r", experiment="old"), want("a"))
    news(desk, "a", 20)
    assert all(event.expected_at is None for event in desk.said)


def test_those_far_behind_are_left_alone() -> None:
    desk = Desk(pools=Pools(told=2))
    desk.tell(join("n", 1))
    for trial in ("r", "a", "b", "c"):
        desk.tell(want(trial))
    desk.tell(join("m", 1))
    desk.tell(want("z", 1))
    news(desk, "c", 10)
    assert {event.trial_id for event in desk.said} <= {"b", "c"}


def test_who_was_told_of_no_machine_hears_of_one() -> None:
    desk = Desk(want("a"), want("b"))
    assert {event.why for event in desk.said} == {"machines"}
    desk.said.clear()
    desk.tell(join("n", 1))
    assert [(event.trial_id, event.why) for event in desk.said] == [("b", "behind")]


def test_rank_counts_before_age() -> None:
    desk = Desk(pools=pools("priority"))
    desk.tell(join("n", 1))
    desk.tell(want("r", experiment="old"))
    desk.tell(want("low", experiment="l", priority=90))
    for n in range(3):
        desk.tell(want(f"h{n}", experiment="h", priority=10))
    assert "3 trials are ahead of it" in explain(desk.state, "low")
    assert "it is first in line" in explain(desk.state, "h0")


def test_a_gang_that_no_node_can_hold_is_told_so() -> None:
    desk = Desk(join("n", 4), join("m", 4), want("a", 8, single_node=True))
    assert explain(desk.state, "a") == (
        "a waits for 8 slots on one node: pool default has 4 that could ever serve it."
    )
    desk = Desk(join("n", 4), want("a", 4, avoid_nodes=["n"]))
    assert explain(desk.state, "a") == (
        "a waits for 4 slots: pool default has none that could ever serve it."
    )


@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        ({"mixed_types": True}, 7), ({}, 5), ({"single_node": True}, 4),
        ({"mixed_types": True, "node_labels": {"disk": "fast"}}, 4),
        ({"node_labels": {"disk": "fast"}}, 2),
    ],
)  # fmt: skip
def test_what_could_ever_serve_a_gang_lies_in_one_pool(wanted: dict[str, Any], most: int) -> None:
    desk = Desk(join("n1", 3, model="a"), join("n2", 2, model="b", disk="fast"),
                join("n3", 2, model="a", disk="fast"), join("n4", 4, model="c", pool="far"),
                want("t", 9, resource_pools=["default", "far"], **wanted))  # fmt: skip
    desk.tell(Tick())  # it is widened to the second pool
    assert f"pool default or far has {most} that could ever serve it" in explain(desk.state, "t")


def test_the_line_alternates_between_owners_in_fair_share() -> None:
    desk = Desk(pools=pools("fair_share"))
    for trial in ("a0", "a1", "b0", "b1"):
        desk.tell(want(trial, experiment=trial[0]))
    order = [e.allocation_id[:2] for e in line_up(desk.state.index, "default", 3)]
    assert order == ["a0", "b0", "a1"]


def test_moves_find_a_place_however_many_there_were() -> None:
    """Halves run out between two places after some fifty moves."""
    desk = Desk(join("n", 1), want("r"), want("first"))
    for n in range(80):
        desk.tell(want(f"t{n}"))
    moved = [f"t{n}" for n in range(80)]
    desk.tell(want("last"))
    for trial in moved:
        desk.tell(TrialMoveRequested(experiment_id="e", trial_id=trial, ahead_of="last"))
    for trial in moved:
        desk.tell(TrialMoveRequested(experiment_id="e", trial_id=trial, ahead_of="first"))
    line = [e.allocation_id.removesuffix("-a1") for e in line_up(desk.state.index, "default", 90)]
    assert line == [*moved, "first", "last"]
