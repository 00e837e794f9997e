"""What is missing in a pool, so that machines are worth starting."""

from unit.scheduler.desk import Desk, close, exited, join, notice, of, want

from shoal_contract.events import DemandChanged, TrialCompleted, Want
from shoal_decider import Tick


def test_who_gets_slots_that_are_being_left_needs_no_machine():
    desk = Desk(join("n"), want("a", 2), close(TrialCompleted, "a"))
    events = desk.tell(want("b", 2))
    events += desk.tell(exited("a", 0, "n"))
    assert of(events, DemandChanged) == []
    assert desk.where("b") == {"n": [0, 1]}


def test_what_they_do_not_suffice_for_is_missing():
    wants = [want("b"), want("c"), want("d"), want("gang", 4)]
    desk = Desk(join("n"), want("a", 2), close(TrialCompleted, "a"), *wants)
    assert desk.state.demand == {"default": [Want(slots=1, count=1), Want(slots=4, count=1)]}


def test_slots_of_another_kind_do_not_help():
    wants = [want("b", slot_type="V100"), want("c"), want("d"), want("p", slot_type="p100")]
    desk = Desk(join("n", model="P100"), want("a", 2), close(TrialCompleted, "a"), *wants)
    assert desk.state.demand == {
        "default": [Want(slots=1, count=1), Want(slots=1, slot_type="V100", count=1)]
    }


def test_slots_of_a_node_that_goes_away_are_no_help():
    desk = Desk(join("n"), want("a", 2), notice("n"), want("b"))
    assert desk.state.demand == {"default": [Want(slots=1, count=1)]}


def test_it_shows_when_others_got_them():
    desk = Desk(join("n"), want("a"), want("b"), close(TrialCompleted, "a"), want("c", 2))
    assert desk.state.demand == {"default": [Want(slots=2, count=1)]}
    desk.tell(close(TrialCompleted, "b"))
    assert desk.state.demand.get("default", []) == []
    desk.tell(notice("n"))
    assert desk.state.demand == {"default": [Want(slots=2, count=1)]}


def test_slots_of_a_gang_that_may_take_its_time_to_finish_are_no_help_yet():
    desk = Desk(join("n"), join("m"), want("gang", 4))
    desk.tell(exited("gang", 0, "n"))
    desk.tell(want("b", 2))
    desk.tell(want("c", 2))
    assert desk.where("b") == {"n": [0, 1]}
    assert desk.state.demand == {"default": [Want(slots=2, count=1)]}
    desk.tell(close(TrialCompleted, "gang"))
    desk.tell(Tick())
    assert desk.state.demand.get("default", []) == []
