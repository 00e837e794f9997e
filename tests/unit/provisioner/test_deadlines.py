"""Experiments with a deadline, and with a budget of money, told by the searcher's events."""

import pytest
from unit.provisioner.spot import (
    SPOT,
    A,
    accepted,
    begun,
    checkpointed,
    granted,
    interrupted,
    measured,
    no_stock,
    paced,
    spot_yard,
    wanted,
)
from unit.provisioner.test_spot import where
from unit.provisioner.yard import admitted, busy, demand, of_type, requested, started, stopping

from shoal_contract.events import SearchChanged, SearchCompleted, TrialCompleted, TrialPaused
from shoal_contract.events.instance import ExperimentBudgetCrossed, ExperimentNoted, TaskNoted


def timely(**given):
    return spot_yard(**{"zones": [A], "deadline_policy": "uniform_progress", **given})


def told(yard, *bodies, after=0.0):
    return [event for body in bodies for event in yard.tell(body, after)]


def runs(yard, number, attempt=1):
    """Machine `number` is up and has the trial's attempt."""
    yard.up(number)
    told(yard, busy(number), granted(f"e-0-a{attempt}", number), begun(attempt), demand())


def test_a_task_that_lags_behind_gets_a_machine_on_demand_when_spot_is_out():
    yard = timely()
    told(yard, accepted(at=yard.now), wanted())
    assert where(yard.tell(demand(1))) == [(A, True)]
    assert where(yard.tell(no_stock(0), 60)) == [(A, False)]


def test_a_task_that_is_ahead_waits_for_spot():
    yard = timely()
    told(yard, accepted(at=yard.now), wanted(), measured(3600), checkpointed(), paced())
    told(yard, interrupted(), wanted(2))
    yard.tell(demand(1))
    assert where(yard.tell(no_stock(0), 60)) == []


def test_what_was_not_saved_is_to_be_done_again():
    yard = timely()
    told(yard, accepted(at=yard.now), wanted(), paced(), measured(3600), checkpointed())
    told(yard, measured(7000), interrupted())
    (noted,) = of_type(told(yard, wanted(2)), TaskNoted)
    assert (noted.allocation_id, noted.time, noted.total, noted.done) == (
        "e-0-a2",
        3600,
        7200,
        3600,
    )


def test_work_moves_on_demand_before_it_is_too_late_and_not_before_the_machine_is_there():
    yard = timely()
    told(yard, accepted(7400, at=yard.now), wanted(), demand(1))
    runs(yard, 0)
    assert where(told(yard, measured(100), paced())) == [(A, False)]
    assert requested(yard.tick()) == []
    assert stopping(yard.tick(100)) == []
    yard.tell(started(1))
    assert stopping(yard.tell(admitted(1))) == ["p-0"]
    assert requested(yard.tick()) == []


def test_work_moves_back_to_spot_when_it_is_ahead():
    yard = timely()
    told(yard, accepted(at=yard.now), wanted(), demand(1))
    yard.tell(no_stock(0), 60)
    runs(yard, 1)
    told(yard, measured(1), paced())
    assert where(yard.tick(100)) == []
    assert where(yard.tick(600)) == [(A, True)], "two changeovers ahead: spot is tried"
    yard.tell(no_stock(2))
    events = yard.tick(40)
    assert (requested(events), stopping(events)) == (["p-3"], []), "no spot, no move"
    yard.tell(started(3))
    assert stopping(yard.tell(admitted(3))) == ["p-1"]


def test_a_gang_moves_when_there_are_machines_for_all_of_it():
    yard = timely()
    told(yard, accepted(7400, at=yard.now), wanted(), demand(2))
    yard.up(0, 1)
    told(yard, busy(0), busy(1), granted("e-0-a1", 0, 1), begun(), demand())
    assert where(told(yard, measured(100), paced())) == [(A, False), (A, False)]
    yard.tell(started(2))
    assert stopping(yard.tell(admitted(2))) == []
    yard.tell(started(3))
    assert stopping(yard.tell(admitted(3))) == ["p-0", "p-1"]


def test_how_far_a_run_is_goes_on_between_its_reports():
    yard = timely()
    told(yard, accepted(at=yard.now), wanted(), demand(1))
    runs(yard, 0)
    told(yard, measured(100), paced(2.0))
    (noted,) = of_type(told(yard, checkpointed(), after=50), TaskNoted)
    assert (noted.time, noted.saved) == (200, 200)
    assert (noted.total, noted.done) == (3600, 100)


def test_trials_that_have_not_begun_are_shared_by_those_that_have():
    yard = timely()
    many = {"name": "random", "max_trials": 6, "max_concurrent_trials": 2}
    (noted,) = told(yard, accepted(5 * 7200, at=yard.now, searcher=many, units=6 * 7200))
    assert isinstance(noted, ExperimentNoted)
    assert (noted.lanes, noted.deadline_at) == (2, yard.now + 36000)
    told(yard, wanted(number=0), paced(number=0), wanted(number=1))
    (first,) = of_type(told(yard, measured(3600)), TaskNoted)
    assert (first.total, first.done) == (3 * 7200, 3600)
    for number in (0, 1):
        done = TrialCompleted(experiment_id="e", trial_id=f"e-{number}", reason="in full")
        told(yard, measured(7200, number), done)
    (third,) = of_type(told(yard, wanted(number=2)), TaskNoted)
    assert (third.total, third.done) == (3 * 7200, 7200)


def test_a_search_that_grows_has_more_to_do():
    yard = timely()
    many = {"name": "random", "max_trials": 4, "max_concurrent_trials": 2}
    told(yard, accepted(36000, at=yard.now, searcher=many, units=4 * 7200), wanted(), paced())
    more = SearchChanged(experiment_id="e", max_trials=8, units=8 * 7200)
    (noted,) = told(yard, more)
    assert (noted.units, noted.lanes) == (8 * 7200, 2)
    assert told(yard, more) == []
    (task,) = of_type(told(yard, measured(600)), TaskNoted)
    assert task.total == 4 * 7200


def test_what_is_paused_or_over_has_no_deadline_any_more():
    yard = timely()
    told(yard, accepted(at=yard.now), wanted(), demand(1))
    (noted,) = told(yard, TrialPaused(experiment_id="e", trial_id="e-0", reason="waits"))
    assert (noted.total, yard.state.pool("p").tasks) == (0, {})
    told(yard, wanted(2))
    yard.tell(SearchCompleted(experiment_id="e", reason="done"))
    assert (yard.state.experiments, yard.state.pool("p").tasks) == ({}, {})


def test_without_a_deadline_or_the_policy_nothing_is_noted():
    yard = spot_yard()
    told(yard, accepted(at=yard.now))
    assert told(yard, wanted(), measured(10)) == []
    yard = timely()
    assert told(yard, accepted(config={"deadline": None}), wanted()) == []


def test_an_experiment_that_spent_its_budget_is_told_before_the_cap():
    yard = spot_yard()
    budget = {"searcher": {"budget": {"money": 2 * SPOT}}, "config": {"deadline": None}}
    told(yard, accepted(at=yard.now, **budget), demand(2))
    yard.up(0, 1)
    told(yard, busy(0), granted("e-0-a1", 0), busy(1), granted("other-0-a1", 1), demand())
    crossed = []
    for _ in range(130):
        crossed += of_type(yard.tick(60), ExperimentBudgetCrossed)
    assert [c.share for c in crossed] == [0.5, 0.8, 0.95, 1.0]
    assert crossed[-1].limit == 2 * SPOT
    assert 2 * SPOT - crossed[-1].spent == pytest.approx(SPOT / 60, rel=0.02), "a minute is kept"
    yard.tell(SearchCompleted(experiment_id="e", reason="the budget is spent"))
    assert yard.state.experiments == {}
