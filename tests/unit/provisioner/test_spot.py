"""Whole decisions of a spot pool."""

import pytest
from laws.decider_laws import DeciderLaws
from unit.provisioner.spot import (
    BODIES,
    KIND,
    V100,
    A,
    B,
    C,
    SpotDecider,
    found,
    granted,
    no_stock,
    preempted,
    saved,
    spot_yard,
)
from unit.provisioner.yard import (
    admitted,
    busy,
    check,
    demand,
    ended,
    gone,
    idle,
    of_type,
    requested,
    stopping,
)

from shoal_contract.events import DemandChanged, InstanceRequested, NodeDraining, Want
from shoal_contract.events.instance import (
    InstanceAdopted,
    InstanceDisowned,
    InstancePreempted,
    PoolAdvised,
)
from shoal_contract.states import InstanceState
from shoal_provisioner.core.messages import MachineGone, Obtainability


def where(events):
    return [(e.zone, e.spot) for e in of_type(events, InstanceRequested)]


def working(yard, *numbers):
    yard.up(*numbers)
    for n in numbers:
        yard.tell(busy(n))
        yard.tell(granted(f"t-{n}", n))
    yard.tell(demand())


def test_demand_spreads_over_zones_that_cost_the_same():
    yard = spot_yard()
    assert where(yard.tell(demand(*[1] * 6))) == [(A, True), (B, True), (C, True)] * 2


def wanting(**count):
    wants = [Want(slots=1, count=n, slot_type=name or None) for name, n in count.items()]
    return DemandChanged(pool="p", wants=wants)


def test_each_type_of_slot_that_is_asked_for_gets_machines_that_have_it():
    p100 = {"machine_type": "n1-standard-8", "gpu": "nvidia-tesla-p100", "gpu_count": 1}
    yard = spot_yard(zones=[A], kinds=[V100, p100])
    events = yard.tell(wanting(V100=1, P100=2, K80=1))
    kinds = [event.kind.rpartition("-")[2] for event in of_type(events, InstanceRequested)]
    assert kinds == ["p100", "p100", "v100"], "and nothing for what no kind has"
    yard.tell(wanting(V100=1, P100=1))
    assert requested(yard.tell(wanting(V100=1, P100=2))) == []
    events = yard.tell(wanting(V100=2, P100=1))
    assert requested(events) == ["p-3"], "the spare P100 is none"
    events = yard.tell(DemandChanged(pool="p", wants=[Want(slots=1, count=5)]))
    assert [e.kind.rpartition("-")[2] for e in of_type(events, InstanceRequested)] == ["p100"]


def test_who_asks_for_memory_gets_machines_whose_gpus_have_it():
    a100 = {"machine_type": "a2-ultragpu-1g", "gpu": "nvidia-a100-80gb", "gpu_count": 1,
            "price": {"on_demand": 5, "spot": 2}}  # fmt: skip
    yard = spot_yard(zones=[A], kinds=[V100, a100])
    wants = [
        Want(slots=1, count=1, slot_memory=16),
        Want(slots=1, count=1, slot_memory=40),
        Want(slots=1, count=1, slot_type="A100", slot_memory=80),
        Want(slots=1, count=1, slot_memory=81),
    ]
    demand = DemandChanged(pool="p", wants=wants)
    kinds = [e.kind.rpartition("-")[2] for e in of_type(yard.tell(demand), InstanceRequested)]
    assert sorted(kinds) == ["80gb", "80gb", "v100"]
    assert requested(yard.tell(demand)) == [], "each is served by what was started"


def test_a_type_without_stock_does_not_hold_up_another():
    p100 = {"machine_type": "n1-standard-8", "gpu": "nvidia-tesla-p100", "gpu_count": 1}
    yard = spot_yard(zones=[A], kinds=[V100, p100])
    assert len(requested(yard.tell(wanting(P100=1)))) == 1
    yard.tell(no_stock(0))
    events = yard.tell(wanting(P100=1, V100=1))
    assert [e.kind.rpartition("-")[2] for e in of_type(events, InstanceRequested)] == ["v100"]


def test_very_many_machines_start_in_as_few_batches_as_the_stream_takes():
    yard = spot_yard(max_instances=1000)
    assert 500 < len(requested(yard.tell(demand(*[1] * 1000)))) < 1000
    yard.tick(0)
    assert len(yard.state.instances) == 1000


def test_no_stock_in_a_zone_sends_the_next_attempt_elsewhere_at_once():
    yard = spot_yard(zones=[A, C])
    yard.tell(demand(1))
    assert where(yard.tell(no_stock(0))) == [(C, True)]
    assert where(yard.tell(no_stock(1))) == []
    assert where(yard.tick(15)) == [(A, True)]
    assert where(yard.tell(no_stock(2), 1)) == [(C, True)]


def test_many_failures_of_one_attempt_are_one():
    yard = spot_yard(zones=[A])
    yard.tell(demand(*[1] * 8))
    for n in range(8):
        yard.tell(no_stock(n), 0)
    assert where(yard.tick(14)) == []
    assert len(where(yard.tick(2))) == 8


def test_no_quota_in_a_region_sends_the_next_attempt_to_another():
    yard = spot_yard()
    yard.tell(demand(1))
    assert where(yard.tell(no_stock(0, "quota"))) == [(C, True)]


def test_what_is_wrong_with_a_pool_pauses_all_of_it():
    yard = spot_yard()
    yard.tell(demand(1))
    assert where(yard.tell(no_stock(0, "permission"))) == []
    assert where(yard.tick(2)) == [(A, True)]


def test_on_demand_comes_after_a_while_without_spot_and_not_before():
    yard = spot_yard(zones=[A], fallback_after=300)
    tried, number, begun = where(yard.tell(demand(1))), 0, yard.now
    while not tried or tried[0][1]:
        if tried:
            yard.tell(no_stock(number), 0.1)
            number += 1
        tried = where(yard.tick(5))
        assert yard.now - begun < 400
    assert yard.now - begun >= 300
    assert tried == [(A, False)]


def test_without_a_fallback_it_never_comes():
    yard = spot_yard(zones=[A])
    yard.tell(demand(1))
    yard.tell(no_stock(0))
    for _ in range(50):
        events = yard.tick(400)
        assert all(spot for _, spot in where(events))
        for name in requested(events):
            yard.tell(no_stock(int(name[2:])))


def test_a_preempted_machine_is_replaced_before_its_trial_asks():
    yard = spot_yard()
    yard.tell(demand(1))
    working(yard, 0)
    events = yard.tell(preempted(0))
    assert len(of_type(events, InstancePreempted)) == 1
    (after,) = of_type(events, InstanceRequested)
    assert after.replaces == "p-0"
    assert stopping(events) == ["p-0"]
    assert requested(yard.tell(demand(1))) == [], "the trial asks, and it is on its way"


@pytest.mark.parametrize("first", ["pubsub", "worker", "poll", "gone"])
def test_a_preemption_is_counted_once_whoever_says_it(first):
    yard = spot_yard()
    yard.tell(demand(1))
    working(yard, 0)
    drains = NodeDraining(
        node_id="node-0", incarnation="i", instance_id="p-0", reason="preempted by the cloud"
    )
    vanished = MachineGone(pool="p", instance_id="p-0", reason="it vanished", preempted=True)
    words = {"pubsub": preempted(0), "worker": drains, "poll": preempted(0, "poll")}
    order = [first, *(name for name in words if name != first)]
    events = []
    for name in order:
        events += yard.tell(vanished if name == "gone" else words[name])
    events += yard.tell(vanished)
    assert len(of_type(events, InstancePreempted)) == 1
    assert len(requested(events)) == 1
    assert ended(events) == [("instance.stopped", "p-0")]
    past = yard.state.pool("p").offers[f"{KIND}/{A}/spot"]
    assert past.preemptions == pytest.approx(1, abs=1e-3)


def test_an_idle_machine_that_is_preempted_is_not_replaced():
    yard = spot_yard()
    yard.tell(demand(1))
    yard.up(0)
    yard.tell(demand())
    assert requested(yard.tell(preempted(0))) == []


def test_demand_that_comes_and_goes_starts_and_stops_nothing():
    yard = spot_yard(max_idle_period=120)
    yard.tell(demand(1))
    working(yard, 0)
    for _ in range(20):
        yard.tell(idle(0), 10)
        assert requested(events := yard.tell(demand(1), 10)) == stopping(events) == []
        yard.tell(busy(0), 10)
        assert requested(events := yard.tell(demand(), 10)) == stopping(events) == []


def test_a_smaller_maximum_takes_what_costs_least_to_lose_gang_by_gang():
    yard = spot_yard()
    yard.tell(demand(*[1] * 6))
    yard.up(*range(6))
    for n in range(5):
        yard.tell(busy(n), 0)
    yard.tell(granted("gang", 0, 1), 0)
    yard.tell(granted("long", 2), 0)
    yard.tell(demand())
    yard.tell(granted("new", 3), 500)
    yard.tell(granted("other", 4), 0)
    yard.tell(saved("gang"), 90)
    yard.decider = spot_yard(max_instances=3).decider
    yard.state.instances["p-5"].idle_since = yard.now
    assert stopping(yard.tick(1)) == ["p-5", "p-0", "p-1"], "the idle one, then the safe gang"


def test_an_unknown_machine_with_our_mark_is_adopted_if_it_is_wanted_else_removed():
    yard = spot_yard(zones=[A])
    (gone_one,) = of_type(yard.tell(found(3)), InstanceDisowned)
    assert gone_one.reason == "nothing waits for it"
    assert yard.state.instances["p-3"].state is InstanceState.STOPPING
    assert yard.tell(found(3)) == []
    assert ended(yard.tell(gone(3))) == [("instance.stopped", "p-3")]
    yard.tell(demand(1))
    assert requested(yard.tell(no_stock(4))) == []
    assert of_type(yard.tell(found(3)), InstanceDisowned), "closed records stay closed"
    (kept,) = of_type(yard.tell(found(7)), InstanceAdopted)
    assert (kept.spot, kept.price) == (True, pytest.approx(0.82))
    assert requested(yard.tick(20)) == [], "it is what was missing"
    yard.tell(admitted(7))
    assert yard.state.instances["p-7"].state is InstanceState.JOINED


@pytest.mark.parametrize(
    "odd", [{"pool": "q", "instance_id": "q-9"}, {"kind": "x"}, {"zone": B}, {"spot": False}]
)
def test_an_unknown_machine_that_does_not_fit_is_removed(odd):
    yard = spot_yard(zones=[A], fallback_after=10)
    yard.tell(demand(1))
    yard.tell(no_stock(0))
    if odd == {"spot": False}:
        assert of_type(yard.tell(found(9, **odd)), InstanceAdopted)
    else:
        assert of_type(yard.tell(found(9, **odd)), InstanceDisowned)


def test_a_worker_that_joins_and_is_in_no_record_is_adopted_with_its_work():
    yard = spot_yard()
    yard.tell(admitted(5))
    machine = yard.state.instances["p-5"]
    assert (machine.state, machine.node_id) == (InstanceState.JOINED, "node-5")
    yard.tell(granted("t", 5))
    assert machine.shares == {} or yard.state.instances["p-5"].shares == {"t": 1}
    assert requested(yard.tell(demand(1))) == [], "it idles, so it serves"


def test_a_pool_that_observes_says_once_what_it_would_do():
    yard = spot_yard(mode="observe")
    events = yard.tell(demand(1, 1, 1, 1))
    assert requested(events) == []
    (word,) = of_type(events, PoolAdvised)
    assert word.would == (
        f"start {KIND}/{A}/spot x 2; start {KIND}/{B}/spot; start {KIND}/{C}/spot"
    )
    assert yard.tick() == []
    (word,) = of_type(yard.tell(demand()), PoolAdvised)
    assert word.would == ""


def test_a_pool_that_observes_repeats_itself_not():
    yard = spot_yard(zones=[A], max_idle_period=10)
    yard.tell(demand(1))
    yard.up(0)
    yard.tell(demand())
    yard.decider = spot_yard(zones=[A], max_idle_period=10, mode="observe").decider
    words = [word.would for n in range(30) for word in of_type(yard.tick(), PoolAdvised)]
    assert words == ["stop p-0"]


def test_what_the_cloud_says_of_a_place_turns_the_choice():
    yard = spot_yard()
    word = Obtainability(pool="p", offer=f"{KIND}/{A}/spot", obtainability=0.2, uptime=3600)
    assert len(yard.tell(word)) == 1
    assert yard.tell(word) == []
    assert where(yard.tell(demand(1))) == [(B, True)]


class TestSpotLaws(DeciderLaws):
    def decider(self):
        return SpotDecider()

    def messages(self):
        return BODIES

    def check(self, state):
        check(state, self.decider().pools)
        for machine in state.instances.values():
            assert state.nodes.get(machine.node_id or "", machine.instance_id)
            assert machine.shares.keys() == machine.saved.keys()
        assert all(name in state.instances for name in state.nodes.values())
