import pytest
from unit.scheduler.desk import Desk, exited, join, of, want

from shoal_contract.events import AllocationGranted, DemandChanged, TrialPaused, Want
from shoal_scheduler.core.explain import explain
from shoal_scheduler.core.pools import PoolConfig, Pools


def test_the_head_blocks_so_that_a_gang_does_not_starve():
    desk = Desk(join("n", 4), want("a", 2), want("gang", 4), want("small", 1))
    assert desk.queue() == ["gang", "small"]
    granted = of(desk.tell(exited("a", 0, "n")), AllocationGranted)
    assert [g.trial_id for g in granted] == ["gang"]


def test_who_waits_for_its_experiment_is_passed_over_and_is_no_demand():
    desk = Desk(join("n", 4), want("a", 2, limit=2), want("b", 2, limit=2))
    assert desk.state.demand == {}
    granted = of(desk.tell(want("c", 2, experiment="other")), AllocationGranted)
    assert [g.trial_id for g in granted] == ["c"]
    assert [g.trial_id for g in of(desk.tell(exited("a", 0, "n")), AllocationGranted)] == ["b"]


def test_demand_goes_no_further_than_max_slots():
    desk = Desk(*(want(f"t{n}", 2, limit=4) for n in range(5)))
    assert desk.state.demand == {"default": [Want(slots=2, count=2)]}


def test_pools_do_not_wait_for_one_another():
    desk = Desk(join("n", 2, pool="other"), want("a", 2))
    assert desk.queue() == ["a"]
    assert of(desk.tell(want("b", 2, pool="other")), AllocationGranted)


def test_a_gang_larger_than_the_pool_is_still_demand():
    (demand,) = of(Desk(join("n", 2)).tell(want("t", 64)), DemandChanged)
    assert demand.wants == [Want(slots=64, count=1)]


@pytest.mark.parametrize(
    ("nodes", "slots", "where"),
    [
        ({"a": 4, "b": 2}, 2, {"b": [0, 1]}),
        ({"a": 2, "b": 2}, 1, {"a": [0]}),
        ({"a": 1, "b": 4, "c": 4}, 8, {"b": [0, 1, 2, 3], "c": [0, 1, 2, 3]}),
        ({"a": 1, "b": 4, "c": 4}, 5, {"b": [0, 1, 2, 3], "a": [0]}),
        ({"a": 2, "b": 3, "c": 4}, 6, {"c": [0, 1, 2, 3], "a": [0, 1]}),
    ],
)
def test_where_a_gang_goes(nodes, slots, where):
    desk = Desk(*(join(name, count) for name, count in nodes.items()), want("t", slots))
    assert desk.where("t") == where
    assert list(desk.where("t")) == list(where)


def test_a_gang_has_slots_of_one_model():
    desk = Desk(join("p", 2, model="P100"), join("v", 2, model="V100"), want("t", 3))
    assert desk.queue() == ["t"]
    desk.tell(join("w", 2, model="V100"))
    assert set(desk.where("t")) == {"v", "w"}


def test_a_whole_node_goes_before_one_of_the_same_room():
    desk = Desk(join("a", 3), want("s", 1), join("b", 2), join("c", 2), want("t", 4))
    assert list(desk.where("t")) == ["b", "a"], "and the rest leaves c whole"


def test_ports_are_taken_in_turn_and_never_shared():
    desk = Desk(join("n", 4, ports=[1, 2, 3]))
    ports = []
    for name in ("a", "b"):
        ports += [g.rendezvous.port for g in of(desk.tell(want(name)), AllocationGranted)]
    desk.tell(exited("a", 0, "n"))
    for name in ("c", "d"):
        ports += [g.rendezvous.port for g in of(desk.tell(want(name)), AllocationGranted)]
    assert ports == [1, 2, 3, 1]
    assert desk.tell(want("e"))[-1].wants == [Want(slots=1, count=1)]


def test_nodes_of_one_host_share_its_ports():
    desk = Desk(*(join(n, 1, host="h", ports=[1, 2]) for n in "ab"), want("s"), want("t"))
    meetings = [a.rendezvous.port for a in desk.state.allocations.values()]
    assert sorted(meetings) == [1, 2]


def test_the_first_node_is_one_with_a_port():
    desk = Desk(join("a", 4, ports=[]), join("b", 2, ports=[7]), want("t", 6))
    assert list(desk.where("t")) == ["b", "a"]
    assert Desk(join("a", 2, ports=[]), join("b", 2), want("t", 2)).where("t") == {"b": [0, 1]}


def test_explanations_are_sentences_with_numbers():
    desk = Desk(want("t", 2))
    assert explain(desk.state, "t") == "t waits for 2 slots: pool default has no machine yet."
    desk = Desk(join("n", 4), want("a", 3), want("b", 2), want("c", 1), want("d", 3, limit=3))
    assert explain(desk.state, "a") == "a holds 3 slots on n (granted)."
    assert explain(desk.state, "c") == (
        "c waits for 1 slot of pool default: 1 of 4 are free, and 1 trial is ahead of it."
    )
    assert explain(desk.state, "d") == (
        "d waits: its experiment holds 3 of the 3 slots that it may hold, and this trial needs 3."
    )
    assert explain(desk.state, "z") == "z asks for no slots."
    desk.tell(TrialPaused(experiment_id="e", trial_id="a", reason="so"))
    desk.tell(want("a", 3, attempt=2))
    assert explain(desk.state, "a") == "a waits until its attempt 1 has left its slots."


@pytest.mark.parametrize("more", [{}, {"policy": "priority", "ageing": 60}])
def test_who_is_ahead_is_counted(more):
    desk = Desk(join("n", 1), want("r"), pools=Pools(pools={"default": PoolConfig(**more)}))
    for trial in ("a", "b", "c"):
        desk.tell(want(trial))
    desk.tell(want("y", experiment="f"))
    desk.tell(want("d"))
    assert "3 trials are ahead of it" in explain(desk.state, "y")
    assert "4 trials are ahead of it" in explain(desk.state, "d")
    assert "1 trial is ahead of it" in explain(desk.state, "b")
