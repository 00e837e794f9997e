import pytest
from unit.provisioner.yard import (
    Yard,
    admitted,
    busy,
    demand,
    ended,
    failed,
    gone,
    idle,
    of_type,
    pool,
    removed,
    requested,
    started,
    stopping,
)

from shoal_contract.events import (
    DemandNoted,
    InstanceIdled,
    InstanceJoined,
    InstanceRequested,
    InstanceStarted,
)
from shoal_provisioner.core.decider import ProvisionerDecider


@pytest.mark.parametrize(
    ("sizes", "machines"),
    [((1,), 1), ((2,), 1), ((3,), 2), ((1, 1), 1), ((3, 3), 3), ((8,), 4), ((1,) * 50, 4)],
)
def test_demand_starts_machines_in_one_go_never_above_the_maximum(sizes, machines):
    events = Yard().tell(demand(*sizes))
    assert isinstance(events[0], DemandNoted)
    assert requested(events) == [f"p-{n}" for n in range(machines)]
    assert all(e.slots == 2 and e.reason for e in events if isinstance(e, InstanceRequested))


def test_what_starts_already_is_counted():
    yard = Yard()
    assert requested(yard.tell(demand(3))) == ["p-0", "p-1"]
    assert requested(yard.tell(demand(4))) == []
    assert requested(yard.tell(demand(5))) == ["p-2"]
    assert yard.tell(demand(5)) == []


def test_a_gang_that_never_fits_starts_nothing():
    yard = Yard()
    assert requested(yard.tell(demand(9))) == []
    assert requested(yard.tell(demand(9, 1))) == ["p-0"]


def test_demand_of_an_unknown_pool_starts_nothing():
    assert requested(Yard().tell(demand(1, pool="other"))) == []


def test_the_minimum_is_kept():
    yard = Yard(pool(min_instances=2))
    assert requested(yard.tick()) == ["p-0", "p-1"]
    yard.up(0, 1)
    assert stopping(yard.tick(1000)) == []
    yard.tell(busy(0))
    events = yard.tell(removed(0))
    assert (stopping(events), requested(events)) == (["p-0"], ["p-2"])


def test_joining_and_getting_work_start_no_machine_too_many():
    yard = Yard()
    yard.tell(demand(2, 2))
    for number in (0, 1):
        for body in (started(number), admitted(number), idle(number), busy(number)):
            assert requested(yard.tell(body)) == []
        assert requested(yard.tell(demand(*[2] * (1 - number)))) == []
    assert requested(yard.tick()) == []


def test_demand_that_stays_after_work_was_given_is_met():
    yard = Yard()
    yard.tell(demand(2))
    yard.up(0)
    yard.tell(busy(0))
    assert requested(yard.tick(1)) == []
    assert requested(yard.tick(5)) == ["p-1"]


def test_an_idle_machine_is_part_of_what_a_gang_needs():
    yard = Yard()
    yard.tell(demand(1))
    yard.up(0)
    assert requested(yard.tell(demand(4))) == ["p-1"]


def test_the_life_of_a_machine():
    yard = Yard(pool(max_idle_period=60))
    yard.tell(demand(1))
    assert isinstance(yard.tell(started(0))[0], InstanceStarted)
    (joined,) = of_type(yard.tell(admitted(0)), InstanceJoined)
    assert joined.node_id == "node-0"
    assert yard.tell(idle(0)) == []
    (word,) = of_type(yard.tell(busy(0)), InstanceIdled)
    assert not word.idle
    assert yard.tell(busy(0)) == []
    yard.tell(demand())
    assert yard.tick(500) == []
    assert yard.tell(idle(0))[0].idle
    assert yard.tick(59) == []
    assert stopping(yard.tick(2)) == ["p-0"]
    assert yard.tick(100) == []
    assert ended(yard.tell(gone(0))) == [("instance.stopped", "p-0")]
    assert yard.tell(gone(0)) == []


def test_a_machine_may_join_before_the_driver_answers():
    yard = Yard()
    yard.tell(demand(1))
    assert isinstance(yard.tell(admitted(0))[0], InstanceJoined)
    assert yard.tell(started(0)) == []


def test_idle_machines_stop_only_down_to_the_minimum():
    yard = Yard(pool(min_instances=1, max_idle_period=60))
    yard.tell(demand(6))
    yard.up(0, 1, 2)
    yard.tell(demand())
    assert stopping(yard.tick(61)) == ["p-0", "p-1"]


def test_idle_machines_stay_while_a_gang_waits_for_them():
    yard = Yard()
    yard.tell(demand(8))
    yard.up(0, 1)
    assert stopping(yard.tick(100)) == []


def test_a_worker_that_does_not_join_has_failed():
    yard = Yard(pool(max_starting_period=30))
    yard.tell(demand(1))
    yard.tell(started(0))
    assert yard.tick(29) == []
    events = yard.tick(2)
    assert ended(events) == [("instance.failed", "p-0")]
    assert requested(events) == []
    assert requested(yard.tick(3)) == ["p-1"]


@pytest.mark.parametrize("answer", [failed, gone])
def test_failed_starts_are_repeated_ever_more_slowly(answer):
    yard = Yard()
    yard.tell(demand(1))
    gaps = []
    for number in range(8):
        assert ended(yard.tell(answer(number), 0)) == [("instance.failed", f"p-{number}")]
        waited = 0.0
        while not requested(yard.tick(0.5)):
            waited += 0.5
        gaps.append(round(waited + 0.5))
    assert gaps == [2, 4, 8, 16, 32, 60, 60, 60]
    yard.up(8)
    assert yard.state.pool("p").failures == 0


def test_very_many_failures_do_no_harm():
    yard = Yard()
    yard.tell(demand(1))
    yard.state.pools["p"].failures = 5000
    yard.tell(failed(0))
    assert requested(yard.tick(61)) == ["p-1"]


def test_a_machine_that_vanishes_before_it_joined_has_failed_and_after_is_stopped():
    yard = Yard()
    yard.tell(demand(3))
    yard.tell(started(0))
    assert ended(yard.tell(gone(0))) == [("instance.failed", "p-0")]
    yard.up(1)
    assert ended(yard.tell(gone(1))) == [("instance.stopped", "p-1")]


def test_a_removed_node_takes_its_machine_along():
    yard = Yard()
    yard.tell(demand(1))
    yard.up(0)
    yard.tell(busy(0))
    yard.tell(demand())
    assert stopping(yard.tell(removed(0))) == ["p-0"]
    assert yard.tell(removed(0)) == []


def test_machines_of_a_pool_that_is_no_more_are_stopped():
    yard = Yard()
    yard.tell(demand(1))
    yard.decider = ProvisionerDecider([pool(name="q")])
    assert stopping(yard.tick()) == ["p-0"]


def test_machines_of_others_change_nothing():
    yard = Yard()
    for body in (admitted(7), idle(7), busy(7), removed(7), started(7), failed(7), gone(7)):
        for name in ("q-7", "p-x", "p-", "p-²", "7", None):
            assert yard.tell(body.model_copy(update={"instance_id": name})) == []
