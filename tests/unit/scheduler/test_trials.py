import pytest
from unit.scheduler.desk import Desk, close, exited, extend, join, of, stops, want

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    AllocationReleasing,
    DemandChanged,
    ExtendOrdered,
    NodeBusy,
    NodeIdle,
    NodeRemoved,
    RunSettled,
    StartOrdered,
    TrialCancelled,
    TrialCompleted,
    TrialFailed,
    TrialPaused,
    TrialStopped,
    Want,
)
from shoal_contract.states import Outcome, StopReason
from shoal_decider import Tick
from shoal_scheduler.core.draft import GRACE, TOLD

CLOSINGS = (TrialCompleted, TrialStopped, TrialCancelled, TrialFailed)


def test_a_trial_without_a_place_is_demand():
    events = Desk().tell(want("t", 4))
    assert [type(e) for e in events] == [AllocationQueued, DemandChanged]
    assert events[1].wants == [Want(slots=4, count=1)]


def test_demand_is_said_only_when_it_changes_and_grouped_by_size():
    desk = Desk(want("a", 4), want("b", 2))
    (demand,) = of(desk.tell(want("c", 4)), DemandChanged)
    assert demand.wants == [Want(slots=2, count=1), Want(slots=4, count=2)]
    assert desk.tell(Tick()) == []
    assert of(desk.tell(join("n", 1)), DemandChanged) == []


def test_a_grant_orders_starts_with_ranks_that_count_up():
    desk = Desk(join("n1", 2), join("n2", 4))
    events = desk.tell(want("t", 6))
    kinds = [type(e) for e in events]
    assert kinds == [
        AllocationQueued,
        AllocationGranted,
        NodeBusy,
        NodeBusy,
        StartOrdered,
        StartOrdered,
    ]
    granted, first, second = events[1], events[4].run, events[5].run
    assert [p.node_id for p in granted.placements] == ["n2", "n1"]
    assert granted.rendezvous.host == "host-n2"
    assert (first.node_rank, first.first_rank, first.slots) == (0, 0, [0, 1, 2, 3])
    assert (second.node_rank, second.first_rank, second.slots) == (1, 4, [0, 1])
    assert first.world_size == second.world_size == 6
    assert (first.run_id, second.run_id) == ("t-a1-r0", "t-a1-r1")
    assert granted.at == desk.now


def test_frees_come_before_grants_and_grants_before_demand():
    desk = Desk(join("n", 2), want("a", 2), want("b", 2), want("c", 2))
    kinds = [type(e) for e in desk.tell(exited("a", 0, "n"))]
    assert kinds == [
        RunSettled,
        NodeIdle,
        AllocationEnded,
        AllocationGranted,
        NodeBusy,
        StartOrdered,
        DemandChanged,
    ]


def test_an_end_counts_slots_and_seconds():
    desk = Desk(join("n", 2), want("a", 2))
    (ended,) = of(desk.tell(exited("a", 0, "n"), after=60), AllocationEnded)
    assert (ended.slots, ended.seconds, ended.outcome) == (2, 60, Outcome.COMPLETED)
    assert (ended.trial_id, ended.attempt) == ("a", 1)


def test_an_end_says_where_the_last_result_is_whichever_run_reported_it():
    desk = Desk(join("n", 1), join("m", 1), want("a", 2))
    runs = {node: rank for rank, node in enumerate(desk.where("a"))}
    first, other = exited("a", runs["n"], "n"), exited("a", runs["m"], "m")
    desk.tell(first.model_copy(update={"last_time": 7}))
    (ended,) = of(desk.tell(other), AllocationEnded)
    assert ended.last_time == 7


def test_an_older_or_equal_attempt_is_not_queued_again():
    desk = Desk(want("t", attempt=2))
    assert desk.tell(want("t", attempt=2)) == []
    assert desk.tell(want("t", attempt=1)) == []


def test_a_newer_attempt_waits_until_the_older_has_left_its_slots():
    desk = Desk(join("n", 4), want("t", 1))
    events = desk.tell(want("t", 1, attempt=2))
    assert stops(events) == [("n", StopReason.PAUSED, 30)]
    assert not of(events, AllocationGranted, DemandChanged)
    events = desk.tell(exited("t", 0, "n", Outcome.STOPPED))
    assert [e.attempt for e in of(events, AllocationGranted)] == [2]


def test_a_newer_attempt_replaces_one_in_the_queue():
    desk = Desk(want("t", 1))
    (ended,) = of(desk.tell(want("t", 1, attempt=2)), AllocationEnded)
    assert (ended.attempt, ended.outcome) == (1, Outcome.STOPPED)


@pytest.mark.parametrize("kind", [TrialPaused, *CLOSINGS])
def test_what_waits_leaves_the_queue(kind):
    desk = Desk(want("t", 2))
    events = desk.tell(close(kind, "t"))
    assert [type(e) for e in events] == [AllocationEnded, DemandChanged]
    assert (events[0].outcome, events[0].slots, events[0].seconds) == (Outcome.STOPPED, 0, 0)
    assert events[1].wants == []
    assert desk.tell(close(kind, "t")) == []


def test_what_is_killed_has_no_time_to_checkpoint_even_if_it_is_leaving():
    desk = Desk(join("n", 2), want("a", 1), want("b", 1))
    kill = {"experiment_id": "e", "reason": "so", "at_once": True}
    assert stops(desk.tell(TrialCancelled(trial_id="a", **kill))) == [("n", StopReason.CLOSED, 0)]
    desk.tell(close(TrialStopped, "b"))
    assert stops(desk.tell(TrialCancelled(trial_id="b", **kill))) == [("n", StopReason.CLOSED, 0)]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(TrialPaused, StopReason.PAUSED), *((kind, StopReason.CLOSED) for kind in CLOSINGS)],
)
def test_what_runs_is_told_to_stop_on_every_node(kind, reason):
    desk = Desk(join("n1", 2), join("n2", 2), want("t", 4))
    events = desk.tell(close(kind, "t"))
    assert [e.reason for e in of(events, AllocationReleasing)] == [reason]
    assert stops(events) == [("n1", reason, 30), ("n2", reason, 30)]
    assert desk.tell(close(kind, "t")) == []
    assert not of(desk.tell(exited("t", 0, "n1", Outcome.STOPPED)), AllocationEnded)
    (ended,) = of(desk.tell(exited("t", 1, "n2", Outcome.STOPPED)), AllocationEnded)
    assert ended.outcome is Outcome.STOPPED


def test_who_does_not_leave_is_told_again_and_in_the_end_its_node_is_given_up():
    desk = Desk(join("n", 1), want("a"), close(TrialStopped, "a"))
    for _ in range(TOLD - 1):
        assert desk.tell(Tick(), after=2 * GRACE - 1) == []
        assert stops(desk.tell(Tick())) == [("n", StopReason.CLOSED, GRACE)]
        assert desk.tell(Tick(), after=0) == []
    events = desk.tell(Tick(), after=2 * GRACE)
    (removed,) = of(events, NodeRemoved)
    assert (removed.node_id, removed.reason) == ("n", "a-a1-r0 did not end though told 5 times")
    assert [e.outcome for e in of(events, AllocationEnded)] == [Outcome.LOST]
    assert desk.tell(Tick(), after=1000) == []


def test_slots_are_free_only_after_the_exit():
    desk = Desk(join("n", 2), want("a", 2), want("b", 2))
    assert not of(desk.tell(close(TrialPaused, "a")), AllocationGranted)
    (granted,) = of(desk.tell(exited("a", 0, "n", Outcome.STOPPED)), AllocationGranted)
    assert granted.trial_id == "b"


def test_what_runs_is_extended_on_every_node():
    desk = Desk(join("n1", 2), join("n2", 2), want("t", 4))
    events = desk.tell(extend("t", 50))
    assert [(type(e), e.node_id, e.run_id, e.target) for e in events] == [
        (ExtendOrdered, "n1", "t-a1-r0", 50),
        (ExtendOrdered, "n2", "t-a1-r1", 50),
    ]
    assert desk.tell(extend("t", 50)) == []
    assert desk.tell(extend("t", 20)) == []


def test_what_waits_starts_with_the_newest_target_and_keeps_its_place():
    desk = Desk(want("a", 2), want("b", 2))
    desk.tell(extend("a", 50))
    assert desk.queue() == ["a", "b"]
    (start,) = of(desk.tell(join("n", 2)), StartOrdered)
    assert (start.run.task.trial_id, start.run.task.target) == ("a", 50)


def test_what_leaves_is_not_extended():
    desk = Desk(join("n", 2), want("t", 2), close(TrialPaused, "t"))
    assert desk.tell(extend("t", 50)) == []


def test_a_pool_without_a_proper_name_fails_the_trial_with_a_reason():
    (ended,) = of(Desk().tell(want("t", pool="no such pool")), AllocationEnded)
    assert ended.outcome is Outcome.FAILED
    assert "'no such pool'" in ended.reason


def test_unknown_things_change_nothing():
    desk = Desk(join("n", 2), want("t", 1))
    for body in (
        exited("u", 0, "n"),
        exited("t", 5, "n"),
        exited("t", 0, "elsewhere"),
        extend("u", 5),
        close(TrialPaused, "u"),
        Tick(),
    ):
        assert desk.tell(body) == []
