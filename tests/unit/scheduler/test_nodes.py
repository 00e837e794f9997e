import pytest
from unit.scheduler.desk import Desk, close, exited, join, leave, notice, of, stops, want

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationReleasing,
    DemandChanged,
    NodeAdmitted,
    NodeDraining,
    NodeIdle,
    NodeRemoved,
    RunSettled,
    Slot,
    TrialCompleted,
    Want,
)
from shoal_contract.states import Outcome, StopReason
from shoal_scheduler.core.messages import NodeSilent


def silent(node, incarnation="i1"):
    return NodeSilent(node_id=node, incarnation=incarnation, seconds=10)


def test_a_node_is_admitted_once_and_idle():
    desk = Desk()
    assert [type(e) for e in desk.tell(join("n"))] == [NodeAdmitted, NodeIdle]
    assert desk.tell(join("n")) == []


def test_a_slot_that_is_named_twice_is_one_slot():
    body = join("n", 2)
    desk = Desk(body.model_copy(update={"slots": [*body.slots, *body.slots]}))
    assert len(desk.state.nodes["n"].slots) == 2


def test_a_new_incarnation_has_lost_its_runs():
    desk = Desk(join("n", 2), want("t", 2))
    events = desk.tell(join("n", 2, incarnation="i2"))
    assert [type(e) for e in events] == [
        NodeRemoved,
        RunSettled,
        AllocationEnded,
        NodeAdmitted,
        NodeIdle,
    ]
    assert events[2].outcome is Outcome.LOST


@pytest.mark.parametrize("gone", [leave("n"), silent("n")])
def test_a_node_that_is_gone_loses_its_runs_and_never_returns_as_it_was(gone):
    desk = Desk(join("n", 2), want("t", 2))
    events = desk.tell(gone)
    assert [e.instance_id for e in of(events, NodeRemoved)] == ["vm-n"]
    assert [e.outcome for e in of(events, AllocationEnded)] == [Outcome.LOST]
    assert desk.tell(gone) == []
    assert desk.tell(join("n", 2)) == []
    assert of(desk.tell(join("n", 2, incarnation="i2")), NodeAdmitted)


@pytest.mark.parametrize("old", [leave("n", "i0"), silent("n", "i0"), notice("n", 9, "i0")])
def test_word_of_another_incarnation_is_old(old):
    assert Desk(join("n")).tell(old) == []


@pytest.mark.parametrize(("seconds", "grace"), [(120, 30), (10, 10), (0, 0), (-5, 0)])
def test_a_notice_preempts_the_whole_gang(seconds, grace):
    desk = Desk(join("n1", 2), join("n2", 2), want("t", 4), want("u", 1))
    events = desk.tell(notice("n2", seconds))
    assert [(e.node_id, e.instance_id) for e in of(events, NodeDraining)] == [("n2", "vm-n2")]
    assert [e.reason for e in of(events, AllocationReleasing)] == [StopReason.PREEMPTED]
    assert stops(events) == [
        ("n1", StopReason.PREEMPTED, grace),
        ("n2", StopReason.PREEMPTED, grace),
    ]
    assert desk.tell(notice("n2", seconds)) == []
    granted = of(desk.tell(exited("t", 1, "n2", Outcome.STOPPED)), AllocationGranted)
    assert granted == [], "nothing more is placed on a node that drains"
    events = desk.tell(exited("t", 0, "n1", Outcome.STOPPED))
    assert [e.outcome for e in of(events, AllocationEnded)] == [Outcome.PREEMPTED]
    assert [e.trial_id for e in of(events, AllocationGranted)] == ["u"]


def test_a_second_notice_with_less_time_is_passed_on():
    desk = Desk(join("n1", 2), join("n2", 2), want("t", 4), notice("n2", 60))
    events = desk.tell(notice("n1", 5))
    assert not of(events, AllocationReleasing)
    assert [grace for _, _, grace in stops(events)] == [5, 5]


def test_a_node_that_vanishes_while_it_drains_preempts():
    desk = Desk(join("n", 2), want("t", 2), notice("n", 10))
    (ended,) = of(desk.tell(silent("n")), AllocationEnded)
    assert ended.outcome is Outcome.PREEMPTED


def test_the_rest_of_a_gang_is_told_when_a_node_is_silent():
    desk = Desk(join("n1", 2), join("n2", 2), want("t", 4))
    events = desk.tell(silent("n1"))
    assert stops(events) == [("n2", StopReason.GANG_BROKEN, 5)]
    (ended,) = of(desk.tell(exited("t", 1, "n2", Outcome.FAILED)), AllocationEnded)
    assert ended.outcome is Outcome.LOST, "its failure follows from the loss"
    assert "n1 left" in ended.reason


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (Outcome.FAILED, Outcome.STOPPED, Outcome.FAILED),
        (Outcome.FAILED, Outcome.FAILED, Outcome.FAILED),
        (Outcome.LOST, Outcome.STOPPED, Outcome.LOST),
        (Outcome.LOST, Outcome.FAILED, Outcome.LOST),
        (Outcome.PREEMPTED, Outcome.FAILED, Outcome.PREEMPTED),
        (Outcome.PREEMPTED, Outcome.LOST, Outcome.LOST),
        (Outcome.STOPPED, Outcome.STOPPED, Outcome.STOPPED),
        (Outcome.COMPLETED, Outcome.COMPLETED, Outcome.COMPLETED),
        (Outcome.COMPLETED, Outcome.STOPPED, Outcome.COMPLETED),
        (Outcome.COMPLETED, Outcome.FAILED, Outcome.FAILED),
        (Outcome.COMPLETED, Outcome.LOST, Outcome.LOST),
    ],
)
def test_the_outcome_of_a_gang(first, second, outcome):
    desk = Desk(join("n1", 2), join("n2", 2), want("t", 4))
    events = desk.tell(exited("t", 0, "n1", first))
    grace = {Outcome.COMPLETED: 300, Outcome.LOST: 5, Outcome.FAILED: 5}.get(first, 30)
    assert stops(events) == [("n2", StopReason.GANG_BROKEN, grace)]
    (ended,) = of(desk.tell(exited("t", 1, "n2", second)), AllocationEnded)
    assert ended.outcome is outcome
    assert desk.tell(exited("t", 1, "n2", second)) == []


@pytest.mark.parametrize("reported", [Outcome.COMPLETED, Outcome.STOPPED, Outcome.FAILED])
def test_what_ends_after_a_pause_was_stopped(reported):
    from shoal_contract.events import TrialPaused

    pause = TrialPaused(experiment_id="e", trial_id="t", reason="so")
    desk = Desk(join("n", 2), want("t", 2), pause)
    (ended,) = of(desk.tell(exited("t", 0, "n", reported)), AllocationEnded)
    assert ended.outcome is Outcome.STOPPED


def test_labels_are_kept_to_and_start_no_machine():
    desk = Desk(join("n1", 2, rack="a"), join("n2", 2, rack="b", fast="yes"))
    events = desk.tell(want("t", 2, node_labels={"rack": "b", "fast": "yes"}))
    assert [p.node_id for e in of(events, AllocationGranted) for p in e.placements] == ["n2"]
    events = desk.tell(want("u", 2, node_labels={"rack": "b"}))
    assert not of(events, AllocationGranted), "the free slots are on another node"
    assert not of(events, DemandChanged)
    assert "2 slots on nodes with rack=b of pool default: 0 of 2 are free" in desk.said[-1].reason
    desk.tell(want("w", 1, node_labels={"rack": "z"}))
    assert desk.said[-1].why == "machines"
    events = desk.tell(exited("t", 0, "n2", Outcome.COMPLETED))
    assert [e.trial_id for e in of(events, AllocationGranted)] == ["u"]


def test_slots_have_the_memory_that_is_asked_for():
    small, large = {"model": "A100-40GB", "memory": 42.3}, {"model": "A100-80GB", "memory": 84.9}
    desk = Desk(join("n1", 2, **small), join("n2", 1, **large))
    desk.tell(want("t", slot_memory=80))
    desk.tell(want("w", slot_memory=42))
    assert (desk.where("t"), desk.where("w")) == ({"n2": [0]}, {"n1": [0]})
    events = desk.tell(want("u", slot_type="A100", slot_memory=80))
    assert not of(events, AllocationGranted), "the free slots are smaller"
    (demand,) = of(events, DemandChanged)
    assert demand.wants == [Want(slots=1, slot_type="A100", slot_memory=80, count=1)]
    words = "1 A100 slot of 80 GB or more of pool default: 0 of 1 are free"
    assert words in desk.said[-1].reason
    desk.tell(want("v", slot_memory=141))
    assert desk.said[-1].why == "machines"


def test_a_slot_of_too_little_memory_matters_only_if_it_is_of_the_type():
    slots = [
        Slot(number=0, kind="cuda", model="GT 710", memory=2 * 10**9),
        Slot(number=1, kind="cuda", model="V100", memory=16 * 10**9),
    ]
    desk = Desk(join("n").model_copy(update={"slots": slots}))
    desk.tell(want("t", slot_type="V100", slot_memory=16))
    assert desk.where("t") == {"n": [1]}


@pytest.mark.parametrize(("memory", "demand"), [(16, []), (32, [Want(slots=1, count=1)])])
def test_slots_that_are_being_left_help_only_who_needs_no_more_memory(memory, demand):
    closed = close(TrialCompleted, "a")
    desk = Desk(join("n", 1, memory=16), want("a"), closed, want("b", slot_memory=memory))
    wants = [lacking.model_copy(update={"slot_memory": memory}) for lacking in demand]
    assert desk.state.demand.get("default", []) == wants
