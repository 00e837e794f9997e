"""What people ask of pools."""

from unit.provisioner.spot import granted, spot_pool, spot_yard
from unit.provisioner.yard import (
    Yard,
    busy,
    demand,
    gone,
    idle,
    of_type,
    pool,
    requested,
    stopping,
)

from shoal_contract.events import (
    PoolChangeRequested,
    PoolDrainRequested,
    PoolResumeRequested,
    Refused,
)
from shoal_contract.events.instance import (
    BudgetCrossed,
    PoolAdvised,
    PoolChanged,
    PoolConfigured,
    PoolDropped,
    PoolLimits,
)
from shoal_contract.states import InstanceState
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.messages import PoolsRead


def change(reset=False, name="p", **limits):
    return PoolChangeRequested(pool=name, changes=PoolLimits(**limits), reset=reset)


def at_work(yard, *numbers):
    yard.up(*numbers)
    for n in numbers:
        yard.tell(busy(n))
        yard.tell(granted(f"e-{n}-a1", n))
    yard.tell(demand())


def test_a_lower_cap_sheds_what_costs_least_to_lose_and_outlives_a_restart():
    yard = spot_yard()
    yard.tell(demand(1, 1, 1))
    at_work(yard, 0, 1)
    yard.up(2)
    events = yard.tell(change(max_instances=1))
    assert of_type(events, PoolChanged)[0].changes == PoolLimits(max_instances=1)
    assert len(stopping(events)) == 2
    assert "p-2" in stopping(events), "the one without work goes first"
    assert yard.tell(change(max_instances=1)) == [], "the same again changes nothing"
    again = ProvisionerDecider([spot_pool()])
    assert again.load(again.dump(yard.state)).pool("p").changes.max_instances == 1
    assert requested(yard.tell(demand(1, 1, 1), 60)) == []


def test_changes_add_up_until_they_are_reset():
    yard = Yard()
    yard.tell(change(max_instances=1))
    yard.tell(change(per_hour=5))
    assert yard.state.pool("p").changes == PoolLimits(max_instances=1, per_hour=5)
    yard.tell(change(reset=True, per_day=7))
    assert yard.state.pool("p").changes == PoolLimits(per_day=7)
    assert requested(yard.tell(demand(2, 2))) == ["p-0", "p-1"]


def test_a_gang_that_waits_gets_its_machines_when_the_cap_is_raised():
    yard = Yard()
    assert requested(yard.tell(demand(10))) == []
    assert len(requested(yard.tell(change(max_instances=5)))) == 5


def test_a_budget_that_a_person_sets_holds():
    yard = spot_yard()
    yard.tell(change(per_hour=1))
    assert requested(yard.tell(demand(1, 1, 1))) == ["p-0"], "two would cost 1.64 an hour"


def test_a_raised_budget_counts_at_once():
    yard = spot_yard(budget={"per_day": 2})
    yard.tell(demand(1))
    at_work(yard, 0)
    while not (stopped := stopping(yard.tick(60))):
        pass
    assert stopped == ["p-0"]
    yard.tell(gone(0))
    assert requested(yard.tell(demand(1))) == []
    events = yard.tell(change(per_day=20))
    assert of_type(events, BudgetCrossed) == [], "2 of 20 is no line"
    assert requested(events) == ["p-1"]


def test_a_drained_pool_has_no_machine_until_it_is_to_go_on():
    yard = Yard(pool(min_instances=1))
    yard.tick()
    yard.tell(demand(2))
    at_work(yard, 0)
    events = yard.tell(PoolDrainRequested(pool="p"))
    assert stopping(events) == ["p-0"]
    assert "drained" in events[-1].reason
    assert yard.state.instances["p-0"].state is InstanceState.STOPPING
    yard.tell(gone(0))
    assert requested(yard.tell(demand(2), 60) + yard.tick()) == []
    assert yard.tell(PoolDrainRequested(pool="p")) == []
    assert requested(yard.tell(PoolResumeRequested(pool="p"))) == ["p-1"]


def test_one_node_is_the_schedulers_to_drain():
    yard = Yard()
    yard.tell(demand(2))
    yard.up(0)
    yard.tell(idle(0))
    assert yard.tell(PoolDrainRequested(pool="p", node_id="node-0")) == []


def test_a_pool_may_be_made_to_observe_and_to_act_again():
    yard = Yard()
    yard.tell(change(mode="observe"))
    (advised,) = of_type(yard.tell(demand(2)), PoolAdvised)
    assert advised.would == "start local/local/on_demand"
    assert requested(yard.tell(change(mode="act"))) == ["p-0"]


def test_what_cannot_be_is_refused_with_a_reason():
    yard = Yard(pool(min_instances=2))
    (refused,) = of_type(yard.tell(change(max_instances=1)), Refused)
    assert refused.reason == "min_instances (2) must not exceed max_instances (1)"
    for body in (change(name="q"), PoolDrainRequested(pool="q"), PoolResumeRequested(pool="q")):
        (refused,) = of_type(yard.tell(body), Refused)
        assert refused.reason == "there is no pool q: there are p"
        assert (refused.message_type, refused.subject_id) == (body.type, "q")


def test_how_a_pool_is_described_is_said_once_and_when_it_is_no_more():
    yard = Yard()
    (said,) = of_type(yard.tell(PoolsRead()), PoolConfigured)
    assert (said.driver, said.kinds, said.limits.max_instances) == ("local", ["local"], 4)
    assert of_type(yard.tell(PoolsRead()), PoolConfigured) == []
    yard.decider = ProvisionerDecider([pool(max_instances=3)])
    (said,) = of_type(yard.tell(PoolsRead()), PoolConfigured)
    assert said.limits.max_instances == 3
    yard.decider = ProvisionerDecider([pool(name="other")])
    (dropped,) = of_type(yard.tell(PoolsRead()), PoolDropped)
    assert dropped.pool == "p"
    assert of_type(yard.tell(PoolsRead()), PoolDropped) == []
