"""Hyperband: the brackets of Li et al., and rungs that wait for all."""

import math
from collections import Counter
from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import (
    SearchCompleted,
    TrialCreated,
    TrialMeasured,
    TrialRequested,
    TrialStopped,
)
from shoal_searcher.core.methods.hyperband import brackets_of

TABLE = [  # https://jmlr.org/papers/v18/16-558.html, table 1: R = 81, eta = 3; (r_i, n_i) by s
    {1: 81, 3: 27, 9: 9, 27: 3, 81: 1},
    {3: 34, 9: 11, 27: 3, 81: 1},
    {9: 15, 27: 5, 81: 1},
    {27: 8, 81: 2},
    {81: 5},
]


def hyperband(**changes: Any) -> Pool:
    """Two brackets: 4 trials at 1 of which 2 go on to 2… and the rest; see the first test."""
    given = {"max_time": 4, "divisor": 2, "max_concurrent_trials": 0}
    return Pool(config("hyperband", **(given | changes)))


def test_the_brackets_are_those_of_the_paper() -> None:
    found = brackets_of(81, 3)
    assert [(targets, n) for targets, n in found] == [
        (tuple(row), next(iter(row.values()))) for row in TABLE
    ]


@pytest.mark.parametrize(
    ("max_time", "divisor", "expected"),
    [
        (4, 2, (((1, 2, 4), 4), ((2, 4), 3), ((4,), 3))),
        (8, 2, (((1, 2, 4, 8), 8), ((2, 4, 8), 6), ((4, 8), 4), ((8,), 4))),  # mlr3hyperband's
        (1, 4, (((1,), 1),)),
        (100, 4, (((1, 6, 25, 100), 64), ((6, 25, 100), 22), ((25, 100), 8), ((100,), 4))),
    ],
)
def test_other_brackets(max_time: int, divisor: float, expected: Any) -> None:
    assert brackets_of(max_time, divisor) == expected


SMALL = [{1: 9, 3: 3, 9: 1}, {3: 5, 9: 1}, {9: 3}]  # by the same formula, R = 9


@pytest.mark.parametrize(
    ("full", "wide", "passes", "rungs"),
    [(81, 0, 1, TABLE), (9, 3, 1, SMALL), (9, 0, 2, SMALL), (9, 4, 3, SMALL)],
)
def test_each_rung_trains_as_many_as_the_paper_says(
    full: int, wide: int, passes: int, rungs: list[dict[int, int]]
) -> None:
    pool = hyperband(max_time=full, divisor=3, max_concurrent_trials=wide, passes=passes)
    while pool.tick():
        pass
    pool.train(lambda n, t: n + 1 / t)
    bracket = {e.trial_id: e.bracket for e in pool.said(TrialCreated)}
    found: list[Counter[int]] = [Counter() for _ in range(len(rungs) * passes)]
    for event in pool.said(TrialMeasured):
        found[bracket[event.trial_id]][event.time] += 1
    assert found == rungs * passes
    trials = {81: 143, 9: 17}[full]
    assert pool.said(SearchCompleted)[0].trials == trials * passes
    assert all("rank" in event.reason for event in pool.said(TrialStopped))


def test_nobody_goes_on_before_all_have_come_then_the_best_do() -> None:
    pool = hyperband(max_concurrent_trials=4)
    for n, loss in enumerate([4.0, 1.0, 3.0]):
        assert "trial.paused" in pool.report(n, 1, loss)
        told = pool.end(n, "stopped")
        assert [e.trial_id for e in pool.said(TrialRequested)[-told.count("trial.requested"):]
                if e.attempt > 1] == []  # fmt: skip
    assert promoted(pool) == []
    pool.report(3, 1, 2.0)
    pool.end(3, "stopped")
    assert {1, 3} >= set(promoted(pool)) >= set()
    pool.train(lambda n, t: float(n))
    assert [n for n in promoted(pool) if n < 4][:2] == [1, 3]


def promoted(pool: Pool) -> list[int]:
    return [int(e.trial_id[2:]) for e in pool.said(TrialRequested) if e.attempt > 1]


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_the_place_of_one_that_is_gone_goes_to_the_next_best(how: str) -> None:
    pool = hyperband(max_restarts=0)
    for n in range(4):
        pool.report(n, 1, float(n))
        pool.end(n, "stopped")
    assert sorted(promoted(pool)) == [0, 1]
    if how == "failed":
        pool.end(0, "failed", "x")
    else:
        pool.stop(0)
        pool.end(0, "stopped")
    assert promoted(pool) == [0, 1, 2]
    pool.train(lambda n, t: n + 10.0)
    measured = Counter(e.time for e in pool.said(TrialMeasured) if int(e.trial_id[2:]) < 4)
    assert measured == {1: 4, 2: 2, 4: 1}


def test_one_that_fails_before_its_first_result_does_not_hold_up_the_others() -> None:
    pool = hyperband(max_restarts=0)
    for n in range(1, 4):
        pool.report(n, 1, float(n))
        pool.end(n, "stopped")
    assert promoted(pool) == []
    pool.end(0, "failed", "x")
    assert promoted(pool) == [1, 2]


def test_one_without_a_number_is_dropped_and_its_rung_goes_on_without_it() -> None:
    pool = hyperband()
    assert "trial.stopped" in pool.report(0, 1, math.nan)
    for n in range(1, 4):
        pool.report(n, 1, float(n))
        pool.end(n, "stopped")
    assert promoted(pool) == [1, 2]
    pool.end(0, "stopped")
    pool.train(lambda n, t: math.nan if n == 1 else float(n))
    measured = {(e.trial_id, e.time) for e in pool.said(TrialMeasured)}
    assert ("e-1", 4) not in measured
    assert ("e-2", 4) in measured


def test_a_rung_of_nothing_but_failures_ends_its_bracket_and_not_the_search() -> None:
    pool = hyperband(max_restarts=0)
    for n in range(4):
        pool.end(n, "failed", "x")
    pool.train(lambda n, t: float(n))
    done = pool.said(SearchCompleted)[0]
    assert done.best.trial_id == "e-4"
    assert "4 of them failed" in done.reason


def test_equal_results_are_ranked_by_number() -> None:
    pool = hyperband()
    for n in (3, 1, 2, 0):
        pool.report(n, 1, 1.0)
        pool.end(n, "stopped")
    assert sorted(promoted(pool)) == [0, 1]
