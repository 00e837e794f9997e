"""Asynchronous successive halving: rungs, promotions, and a search with known curves."""

import math
import random

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import (
    SearchCompleted,
    TrialCreated,
    TrialExtended,
    TrialMeasured,
    TrialRequested,
    TrialStopped,
)
from shoal_searcher.core.methods.async_halving import cut, rung_targets


@pytest.mark.parametrize(
    ("max_time", "max_trials", "divisor", "num_rungs", "expected"),
    [
        (100, 16, 4, 5, (6, 25, 100)),
        (64, 16, 4, 3, (4, 16, 64)),
        (64, 1000, 4, 5, (1, 4, 16, 64)),
        (243, 243, 3, 6, (1, 3, 9, 27, 81, 243)),  # log(243)/log(3) is 4.999…
        (1000, 1000, 10, 9, (1, 10, 100, 1000)),
        (125, 125, 5, 9, (1, 5, 25, 125)),
        (7, 1, 4, 5, (7,)),
        (1, 100, 4, 5, (1,)),
        (3, 100, 1.5, 5, (1, 2, 3)),
        (121, 10**6, 1.1, 3, (100, 110, 121)),
        (10, 10, 1e300, 5, (10,)),
        (16, 16, 1.0000001, 10**9, (15, 16)),
        (10**18, 10**18, 10, 4, (10**15, 10**16, 10**17, 10**18)),
    ],
)
def test_rungs_are_determineds(
    max_time: int, max_trials: int, divisor: float, num_rungs: int, expected: tuple[int, ...]
) -> None:
    assert rung_targets(max_time, max_trials, divisor, num_rungs) == expected


@pytest.mark.parametrize(
    ("n", "divisor", "keep"), [(3, 4, 0), (4, 4, 1), (11, 1.1, 10), (5, 2.5, 2)]
)
def test_the_cut_is_exact(n: int, divisor: float, keep: int) -> None:
    assert cut(n, divisor) == keep


def asha(**changes: object) -> Pool:
    given = {"max_trials": 16, "divisor": 4, "num_rungs": 3, "max_concurrent_trials": 4}
    return Pool(config("async_halving", **(given | changes)))


def promotions(pool: Pool, target: int) -> list[int]:
    """Who went on to a target, in order, whether at once or after a pause."""
    found = []
    for event in pool.events:
        restarted = isinstance(event, TrialRequested) and event.task.target == target
        extended = isinstance(event, TrialExtended) and event.target == target
        if restarted or extended:
            found.append(int(event.trial_id.rpartition("-")[2]))  # type: ignore[attr-defined]
    return found


def test_a_search_with_the_best_first_promotes_exactly_them() -> None:
    pool = asha()
    units = pool.train(lambda n, t: 1.0 + n - t / 1000)
    assert promotions(pool, 16) == [0, 1, 2, 3]
    assert promotions(pool, 64) == [0]
    assert units.total() == 16 * 4 + 4 * 12 + 1 * 48
    done = pool.said(SearchCompleted)
    assert (done[0].best.trial_id, done[0].trials) == ("e-0", 16)
    stopped = pool.said(TrialStopped)
    assert len(stopped) == 15
    assert all("rank" in event.reason for event in stopped)
    pool.check_replay()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("stop_once", [False, True])
def test_any_order_finds_a_good_trial_for_little(seed: int, stop_once: bool) -> None:
    losses = list(range(64))
    random.Random(seed).shuffle(losses)
    pool = asha(max_trials=64, max_concurrent_trials=8, stop_once=stop_once, max_time=256)
    order = list(range(64))
    random.Random(seed + 100).shuffle(order)
    units = pool.train(lambda n, t: losses[n] + 100 / t, order)
    done = pool.said(SearchCompleted)[0]
    assert losses[int(done.best.trial_id[2:])] < 8
    assert units.total() < 64 * 256 / 2
    if not stop_once:  # whoever is in the top quarter of rung 0 at the end was promoted
        assert {losses.index(i) for i in range(16)} <= set(promotions(pool, 64))
    pool.check_replay()


def test_the_one_that_reports_goes_on_without_a_pause_if_it_is_in_the_top() -> None:
    pool = asha()
    for n, loss in enumerate([4.0, 3.0, 2.0]):
        assert "trial.paused" in pool.report(n, 4, loss)
    assert pool.report(3, 4, 1.0) == ["trial.measured", "trial.extended"]
    assert pool.trial(3).target == 16


def test_a_rung_that_grows_promotes_one_that_waits_from_its_checkpoint() -> None:
    pool = asha(max_concurrent_trials=5)
    pool.report(0, 4, 1.0)
    pool.save(0, 40)
    assert pool.end(0, "stopped") == ["trial.released"]
    pool.report(1, 4, 2.0)
    pool.report(2, 4, 2.0)
    assert pool.report(3, 4, 2.0) == ["trial.measured", "trial.paused", "trial.requested"]
    again = pool.said(TrialRequested)[-1]
    assert (again.trial_id, again.attempt, again.task.target) == ("e-0", 2, 16)
    assert again.task.checkpoint.step == 40


def test_a_promotion_waits_until_the_old_attempt_is_gone_and_keeps_its_place() -> None:
    pool = asha()
    for n in range(3):
        pool.report(n, 4, 1.0 + n)
    assert pool.report(3, 4, 9.0) == ["trial.measured", "trial.paused"]
    assert pool.end(0, "stopped") == ["trial.released", "trial.requested"]
    assert len(pool.in_state("wanted")) == 4


def test_promotions_come_before_new_trials() -> None:
    pool = asha(max_concurrent_trials=1)
    for n in range(4):
        pool.report(n, 4, 1.0 + n)
        pool.end(n, "stopped")
    assert [e.trial_id for e in pool.said(TrialRequested)] == ["e-0", "e-1", "e-2", "e-3", "e-0"]
    assert len(pool.said(TrialCreated)) == 4


def test_equal_results_are_ranked_by_number_whatever_came_first() -> None:
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        pool = asha()
        for n in order:
            pool.report(n, 4, 1.0)
            if pool.trial(n).state == "paused":
                pool.end(n, "stopped")
        assert promotions(pool, 16) == [0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("smaller", [True, False])
def test_no_number_loses_against_every_number(value: float | None, smaller: bool) -> None:
    pool = asha(smaller_is_better=smaller)
    assert "trial.stopped" in pool.report(0, 4, value)
    assert pool.said(TrialMeasured)[0].metric is None
    for n in range(1, 4):
        pool.report(n, 4, 1e300 * n * (1 if smaller else -1))
    pool.end(1, "stopped")
    assert promotions(pool, 16) == [1]
    pool.check_replay()


def test_a_report_that_leaps_over_rungs_counts_for_each() -> None:
    pool = asha()
    pool.report(0, 20, 1.0)
    assert [list(r.costs) for r in pool.experiment.brackets[0].rungs] == [[0], [0]]
    assert pool.said(TrialMeasured)[0].rung == 1
    assert "trial.completed" in pool.report(1, 70, 1.0)


def test_stop_once_stops_and_lets_the_first_pass() -> None:
    pool = asha(stop_once=True)
    assert pool.report(0, 4, 5.0) == ["trial.measured", "trial.extended"]
    assert pool.report(1, 4, 6.0)[:2] == ["trial.measured", "trial.stopped"]
    assert pool.report(2, 4, 4.0) == ["trial.measured", "trial.extended"]


def test_rounded_up_the_better_of_two_goes_on() -> None:
    assert [cut(n, 4) for n in (1, 2, 4, 5, 8, 9)] == [0, 0, 1, 1, 2, 2]
    assert [cut(n, 4, round_up=True) for n in (1, 2, 4, 5, 8, 9)] == [0, 1, 1, 2, 2, 3]
    pool = asha(round_up=True)
    assert "trial.paused" in pool.report(0, 4, 5.0)
    assert pool.report(1, 4, 4.0) == ["trial.measured", "trial.extended"]
    assert pool.trial(1).target == 16
    pool.end(0, "stopped")
    pool.report(2, 4, 6.0)
    pool.report(3, 4, 7.0)
    pool.report(4, 4, 8.0)  # two of five go on
    assert promotions(pool, 16) == [1, 0]
    pool.check_replay()


def test_larger_is_better() -> None:
    pool = asha(smaller_is_better=False)
    pool.train(lambda n, t: n == 7)
    assert pool.said(SearchCompleted)[0].best.trial_id == "e-7"
    assert 7 in promotions(pool, 64)
