"""Ending early: the median rule, and budgets of units, slot-hours and hours."""

import math
from typing import Any

import pytest
from unit.searcher.pool import Pool, config
from unit.searcher.test_every_method import CASES, begun, holding, quality

from shoal_contract.events import SearchClosing, SearchCompleted, TrialRequested, TrialStopped


def median(**rule: Any) -> Pool:
    return Pool(config("random", max_trials=8, early_stopping=[{"name": "median", **rule}]))


def test_one_that_is_worse_than_the_median_of_the_others_is_stopped() -> None:
    pool = median(min_trials=3)
    for n, loss in enumerate([1.0, 2.0, 3.0]):
        assert pool.report(n, 10, loss) == ["trial.measured"]
    told = pool.report(3, 10, 2.5)  # the others' median is 2
    assert told == ["trial.measured", "trial.stopped"]
    assert "worse than the median of 3 other trials" in pool.said(TrialStopped)[0].reason
    assert pool.report(4, 10, 2.2) == ["trial.measured"]  # of 1, 2, 2.5, 3: 2.25
    assert pool.report(5, 10, 2.2) == ["trial.measured"]  # equal is not worse


def test_the_median_is_of_running_means_and_compared_with_the_best_so_far() -> None:
    pool = median(min_trials=2)
    for n, losses in enumerate([(9.0, 1.0), (9.0, 3.0)]):  # means of 5 and 6 at 20
        for step, loss in enumerate(losses, 1):
            pool.report(n, 10 * step, loss)
    assert pool.report(2, 20, 5.4) == ["trial.measured"]
    assert pool.report(3, 20, 5.6) == ["trial.measured", "trial.stopped"]


def test_grace_and_the_number_of_trials() -> None:
    pool = median(min_trials=2, grace_time=10)
    for n in range(4):
        assert pool.report(n, 10, float(n)) == ["trial.measured"]
    assert pool.report(0, 11, 0.0) == ["trial.measured"]
    assert pool.report(1, 11, 1.0) == ["trial.measured"]  # one other is too few
    assert pool.report(2, 11, 9.0) == ["trial.measured", "trial.stopped"]  # 2 against 0 and 1
    assert pool.report(3, 12, 9.0) == ["trial.measured"]  # nobody else was measured at 12


def test_larger_may_be_better_and_no_number_is_worst() -> None:
    pool = Pool(config("random", max_trials=8, smaller_is_better=False,
                       early_stopping=[{"name": "median", "min_trials": 2}]))  # fmt: skip
    pool.report(0, 10, 5.0)
    pool.report(1, 10, 7.0)
    assert pool.report(2, 10, 5.5) == ["trial.measured", "trial.stopped"]
    assert pool.report(3, 10, math.nan) == ["trial.measured", "trial.stopped"]
    assert pool.report(4, 10, None) == ["trial.measured", "trial.stopped"]
    assert pool.report(5, 10, 9.0) == ["trial.measured"]
    pool.check_replay()


def test_what_reached_its_end_is_complete_not_stopped() -> None:
    pool = median(min_trials=1)
    pool.report(0, 64, 1.0)
    assert pool.report(1, 64, 9.0) == ["trial.measured", "trial.completed"]


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("single",)])
def test_the_rule_goes_with_every_method(case: str) -> None:
    pool = begun(case, early_stopping=[{"name": "median", "min_trials": 2, "grace_time": 0}])
    pool.train(lambda n, t: math.nan if n == 1 else quality(n, t), saves=True)
    assert pool.searches["e"] == "completed"
    pool.check_replay()


def spent(pool: Pool) -> str:
    return str(pool.said(SearchClosing)[-1].reason)


@pytest.mark.parametrize("case", list(CASES))
def test_units_are_added_up_over_trials_and_end_the_search(case: str) -> None:
    pool = begun(case, budget={"units": 20})
    units = 0
    while not pool.experiment.closing_at_once:
        for n in pool.in_state("wanted"):
            if pool.trials[f"e-{n}"] == "wanted":
                pool.report(n, max(0, pool.trial(n).time) + 1, 1.0 + n)
                units += 1
            if pool.trials[f"e-{n}"] == "paused":
                pool.end(n, "stopped")
    assert units == 20
    assert spent(pool) == "the budget of 20 units is spent"
    assert pool.said(SearchClosing)[-1].at_once
    assert pool.in_state("wanted") == []
    asked = len(pool.said(TrialRequested))
    for n in holding(pool):
        assert pool.save(n, 10_000) == ["trial.checkpointed"]  # the last ones still come in
        pool.end(n, "stopped")
    done = pool.said(SearchCompleted)[0]
    assert done.reason.startswith("the budget of 20 units is spent; ")
    assert done.best.metric == 1.0
    assert len(pool.said(TrialRequested)) == asked
    pool.check_replay()


def test_a_leap_counts_for_all_that_it_leapt_over() -> None:
    pool = Pool(config(budget={"units": 40}))
    assert pool.report(0, 39, 1.0) == ["trial.measured"]
    assert "search.closing" in pool.report(0, 45, 1.0)


def test_hours_pass_by_the_tick() -> None:
    pool = Pool()
    pool.now = 1_000_000.0
    pool.submit(config("random", max_trials=9, max_concurrent_trials=2, budget={"hours": 2}))
    pool.now += 7199
    assert pool.tick() == []
    pool.now += 1
    assert pool.tick() == ["search.closing", "trial.stopped", "trial.stopped"]
    assert spent(pool) == "the budget of 2 hours is spent"
    assert pool.tick() == []
    for n in range(2):
        pool.end(n, "stopped")
    assert pool.searches["e"] == "completed"


def test_hours_pass_while_it_is_paused() -> None:
    pool = Pool()
    pool.submit(config("random", max_trials=9, max_concurrent_trials=2, budget={"hours": 1}))
    pool.ask("pause")
    for n in range(2):
        pool.end(n, "stopped")
    pool.now += 3600
    assert pool.tick() == ["search.closing", "trial.stopped", "trial.stopped", "search.completed"]


def test_slot_hours_count_those_that_are_over_and_those_that_run() -> None:
    pool = Pool()
    pool.submit(config("random", max_trials=9, max_concurrent_trials=2,
                       resources={"slots_per_trial": 4}, budget={"slot_hours": 4}))  # fmt: skip
    assert pool.grant(0, 0.0) == ["trial.started"]
    assert pool.grant(0, 5.0) == []
    pool.now = 3599.0
    assert pool.tick() == []
    pool.end(0, "lost", seconds=3600)  # the pool's helper says one slot of them
    assert pool.experiment.slot_seconds == 3600
    assert pool.tick() == []  # it waits for slots again
    pool.now = 10_000.0
    pool.grant(1, 10_000.0)
    pool.now += 2699
    assert pool.tick() == []
    pool.now += 1
    assert pool.tick()[0] == "search.closing"
    assert spent(pool) == "the budget of 4 slot hours is spent"


def test_whichever_is_spent_first() -> None:
    pool = Pool(config(budget={"units": 10, "hours": 1}))
    pool.now = 3600.0
    assert pool.report(0, 9, 1.0)[1] == "search.closing"
    assert "hours" in spent(pool)


def test_what_is_spent_is_spent_when_it_is_large() -> None:
    """More trials than go into one batch are stopped over several ticks."""
    pool = Pool(config("random", max_trials=500, max_concurrent_trials=0, budget={"hours": 1}))
    while pool.tick():
        pass
    pool.now = 3600.0
    while pool.tick():
        pass
    assert len(pool.in_state("stopped")) == 500
    for n in range(500):
        pool.end(n, "stopped")
    assert pool.searches["e"] == "completed"
