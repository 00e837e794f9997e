"""Deadlines and budgets of money with the real deciders of all services, in virtual time."""

import pytest

from shoal_contract.events import AllocationEnded
from shoal_contract.events.instance import (
    ExperimentBudgetCrossed,
    InstanceRequested,
)
from shoal_contract.events.search import SearchClosing, SearchCompleted
from shoal_simulator.cluster import Scenario, Simulation

HOUR = 3600.0
SPOT, LIST = 1.0, 3.0
KIND = {"machine_type": "m", "slots": 1, "price": {"on_demand": LIST, "spot": SPOT}}


def played(capacity, searcher, policy="uniform_progress", until=40 * HOUR, **config):
    """What happened to one experiment of trials that take `max_time` minutes each."""
    pool = {"name": "default", "driver": "simulated", "kinds": [KIND], "zones": ["a"],
            "provisioning": "spot", "deadline_policy": policy, "max_instances": 8,
            "max_starting_period": 600}  # fmt: skip
    found = {"metric": "loss", "max_time": 60, **searcher}
    job = {
        "seconds_per_unit": 60.0,
        "config": {"name": "x", "entrypoint": "x", "searcher": found, **config},
    }
    scenario = Scenario.model_validate(
        {"pools": [pool], "experiments": [job], "checkpoint_every": 5, "until": until,
         "clouds": {"default": {"start_seconds": 120, "capacity": capacity}}}
    )  # fmt: skip
    simulation, events = Simulation(scenario), []
    simulation.network.watchers.append(lambda said, now: events.extend((now, e) for e in said))
    return simulation.run(), events


def of(events, kind):
    return [event for _, event in events if isinstance(event, kind)]


def bought(events):
    """How many machines were spot, and how many on demand."""
    spots = [event.spot for event in of(events, InstanceRequested)]
    return spots.count(True), spots.count(False)


SINGLE = {"name": "single"}
GONE_AFTER_20_MINUTES = [(0, 8), (1200, 0)]


def test_a_deadline_is_kept_by_machines_on_demand_when_spot_machines_go():
    report, events = played(GONE_AFTER_20_MINUTES, SINGLE, deadline="2h")
    assert report.completed == 1
    assert report.seconds < 2 * HOUR
    spot, on_demand = bought(events)
    assert spot >= 1
    assert on_demand == 1


def test_without_the_policy_it_would_be_missed():
    report, events = played(
        GONE_AFTER_20_MINUTES, SINGLE, policy="none", until=2 * HOUR, deadline="2h"
    )
    assert report.completed == 0
    assert bought(events)[1] == 0


def test_a_deadline_that_is_far_costs_no_machine_on_demand():
    report, events = played([(0, 8), (1200, 0), (2400, 8)], SINGLE, deadline="6h")
    assert (report.completed, bought(events)[1]) == (1, 0)


@pytest.mark.parametrize("hours", [5.5, 8])
def test_trials_one_after_another_share_the_time(hours):
    """Eight hours of training in two lanes."""
    several = {"name": "random", "max_trials": 8, "max_concurrent_trials": 2}
    thin = [(1800 * n, 2 if n % 3 else 0) for n in range(80)]
    report, _ = played(thin, several, deadline=f"{hours}h")
    assert report.completed == 1
    assert report.seconds <= hours * HOUR


def test_an_experiment_ends_before_it_spends_more_than_its_money():
    several = {"name": "random", "max_trials": 8, "max_concurrent_trials": 4}
    report, events = played([(0, 8)], {**several, "budget": {"money": 2.5}})
    assert report.completed == 1
    assert [e.share for e in of(events, ExperimentBudgetCrossed)] == [0.5, 0.8, 0.95, 1.0]
    (closing,) = of(events, SearchClosing)
    assert closing.reason == "the budget of 2.5 USD is spent"
    (ended,) = of(events, SearchCompleted)
    assert ended.reason.startswith(closing.reason)
    used = sum(e.seconds * e.slots for e in of(events, AllocationEnded)) / HOUR * SPOT
    assert 2.4 < used <= 2.5
