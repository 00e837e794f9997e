import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws.decider_laws import RELAXED
from unit.provisioner.spot import BODIES, LIST, PRICES, SPOT, granted, saved, settled, spot_yard
from unit.provisioner.yard import (
    admitted,
    busy,
    demand,
    gone,
    of_type,
    requested,
    started,
    stopping,
)

from shoal_contract.events import InstanceFailed, InstanceStopped
from shoal_contract.events.instance import (
    BudgetCrossed,
    InstanceDisowned,
    InstanceMetered,
    WorkLost,
)
from shoal_contract.states import Outcome


def metered(events):
    return [(m.use, round(m.at - m.since, 3)) for m in of_type(events, InstanceMetered)]


def test_every_second_of_a_machine_is_priced_and_has_a_use():
    yard = spot_yard()
    yard.now = 3600.0 * 1000
    log = yard.tell(demand(1), 0)
    log += yard.tell(started(0), 30)
    log += yard.tell(admitted(0), 180)
    log += yard.tell(busy(0), 20)
    log += yard.tell(granted("t", 0), 0)
    log += yard.tell(demand(), 0)
    log += yard.tell(saved("t"), 400)
    log += yard.tell(gone(0), 100)
    assert metered(log) == [("starting", 180), ("idle", 20), ("used", 500)]
    total = of_type(log, InstanceMetered)
    assert sum(m.cost for m in total) == pytest.approx(700 / 3600 * SPOT)
    assert sum(m.list_cost for m in total) == pytest.approx(700 / 3600 * LIST)
    assert [m.shares for m in total] == [{}, {}, {"t": 1}]
    (lost,) = of_type(log, WorkLost)
    assert (lost.allocation_id, lost.seconds) == ("t", pytest.approx(100))
    assert lost.cost == pytest.approx(100 / 3600 * SPOT)


@pytest.mark.parametrize(
    ("outcome", "lost"),
    [(Outcome.COMPLETED, []), (Outcome.STOPPED, []), (Outcome.LOST, [60]), (Outcome.FAILED, [60])],
)
def test_work_that_has_to_be_done_again_is_lost(outcome, lost):
    yard = spot_yard()
    yard.tell(demand(1))
    yard.up(0)
    yard.tell(granted("t", 0))
    events = yard.tell(settled("t", 0, outcome), 60)
    assert [round(e.seconds) for e in of_type(events, WorkLost)] == lost
    assert of_type(yard.tell(gone(0)), WorkLost) == [], "and is lost once"


def test_intervals_end_at_full_hours():
    yard = spot_yard(max_idle_period=1e6)
    yard.now = 3600.0 * 1000 - 100
    yard.tell(demand(1), 0)
    yard.up(0)
    log = yard.tick(8000)
    assert [m.at % 3600 for m in of_type(log, InstanceMetered)] == [0, 0, 0, pytest.approx(700.2)]


def test_lines_are_said_once_and_the_cap_releases_everything_until_the_period_ends():
    yard = spot_yard(budget={"per_day": 5.0, "lines": [0.5]}, max_instances=4)
    yard.now = 86400.0 * 10
    yard.tell(demand(*[1] * 4), 0)
    yard.up(0, 1, 2, 3)
    for n in range(4):
        yard.tell(busy(n), 0)
        yard.tell(granted(f"t-{n}", n), 0)
    yard.tell(demand())
    crossed, stopped = [], []
    while not stopped:
        events = yard.tick(5)
        crossed += of_type(events, BudgetCrossed)
        stopped = stopping(events)
    assert [(c.share, c.period, c.limit) for c in crossed] == [(0.5, "day", 5), (1.0, "day", 5)]
    assert stopped == ["p-0", "p-1", "p-2", "p-3"]
    assert 4.9 < crossed[1].spent <= 5
    cost = 0.0
    for n in range(4):
        cost += sum(m.cost for m in of_type(yard.tell(gone(n), 10), InstanceMetered))
    spent = yard.state.pool("p").spent["day"].money
    assert spent <= 5
    assert requested(yard.tell(demand(1))) == []
    yard.now = 86400.0 * 11 - 1
    assert requested(yard.tick(0)) == []
    assert requested(yard.tick(1)) == ["p-4"]


def test_no_more_machines_start_than_an_hours_budget_pays():
    yard = spot_yard(budget={"per_hour": 2.5})
    assert len(requested(yard.tell(demand(*[1] * 8)))) == 3
    assert requested(yard.tick(5)) == []


def test_the_cap_of_an_hour_holds_for_the_hour():
    yard = spot_yard(budget={"per_hour": 1.0, "lines": []}, max_idle_period=1e6)
    yard.now = 3600.0 * 500
    yard.tell(demand(1), 0)
    yard.up(0)
    assert stopping(yard.tick(3500)) == []
    assert requested(yard.tick(400)) == []


@settings(max_examples=60, **RELAXED)
@given(st.lists(st.tuples(BODIES, st.sampled_from([0.0, 1.0, 70.0, 4000.0])), max_size=60))
def test_the_intervals_of_a_machine_follow_one_another_from_its_start_to_its_end(history):
    yard = spot_yard(fallback_after=60, deadline_policy="uniform_progress")
    at, ended = {}, set()
    for body, after in history:
        for event in yard.tell(body, after):
            name = getattr(event, "instance_id", "")
            if isinstance(event, InstanceDisowned):  # it is there after all, and costs again
                ended.discard(name)
                at[name] = event.at
            elif isinstance(event, InstanceMetered):
                assert name not in ended
                assert at.get(name, event.since) == event.since <= event.at
                assert event.since // 3600 == (event.at - 1e-6) // 3600 or event.at == event.since
                assert event.cost <= event.list_cost
                at[name] = event.at
            elif isinstance(event, InstanceFailed | InstanceStopped):
                ended.add(name)
                if name in at:
                    assert at[name] == yard.now, "paid to the last second"


def test_prices_ship_with_a_date_and_a_source():
    assert PRICES.as_of
    assert PRICES.source
