"""What is missing in a pool, so that machines are worth starting."""

from unit.scheduler.desk import Desk, close, exited, join, notice, of, want

from shoal_contract.events import DemandChanged, ShareChangeRequested, TrialCompleted, Want
from shoal_decider import Tick
from shoal_scheduler.core.pools import Pools, Workspace


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


def demand(desk):
    return {pool: wants for pool, wants in desk.state.demand.items() if wants}


def test_experiments_count_together_against_their_workspaces_quota():
    pools = Pools(workspaces={"w": Workspace(max_slots=8)})
    wants = [want(f"{e}{n}", experiment=e, workspace="w") for e in "abc" for n in range(8)]
    desk = Desk(*wants, pools=pools)
    assert demand(desk) == {"default": [Want(slots=1, count=8)]}
    desk.tell(ShareChangeRequested(experiment_id="a", hold=True))
    assert demand(desk) == {"default": [Want(slots=1, count=8)]}
    desk.tell(join("n", 5))
    assert demand(desk) == {"default": [Want(slots=1, count=3)]}


def test_trials_count_together_against_max_slots_in_whatever_pools_they_wait():
    far = {"resource_pools": ["near", "far"], "limit": 3}
    desk = Desk(*(want(f"a{n}", burst_after=5, **far) for n in range(2)))
    desk.tell(Tick(), after=10)
    desk.tell(want("b", 2, burst_after=500, **far))
    desk.tell(want("c", 1, burst_after=500, **far))
    assert demand(desk) == {"far": [Want(slots=1, count=2)], "near": [Want(slots=1, count=1)]}
    desk.tell(join("f", 1, pool="far"))
    assert demand(desk) == {"far": [Want(slots=1, count=1)], "near": [Want(slots=1, count=1)]}
    desk.tell(ShareChangeRequested(experiment_id="e", max_slots=0))
    near = [Want(slots=1, count=1), Want(slots=2, count=1)]
    assert demand(desk) == {"far": [Want(slots=1, count=1)], "near": near}
    desk.tell(ShareChangeRequested(experiment_id="e", max_slots=1))
    assert demand(desk) == {}
