"""An experiment's life: starting, failing, pausing, cancelling, ending."""

import math

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import (
    ExperimentCancelRequested,
    Refused,
    SearchCancelled,
    SearchCompleted,
    SearchFailed,
    TrialCancelled,
    TrialCheckpointed,
    TrialFailed,
    TrialInterrupted,
    TrialMeasured,
    TrialRequested,
)
from shoal_searcher.core.draft import CHUNK

AGAIN = ["trial.interrupted", "trial.requested"]


@pytest.mark.parametrize(
    ("found", "started", "target"),
    [
        (config("single"), 1, 64),
        (config("random", max_trials=5, max_concurrent_trials=2), 2, 64),
        (config("random", max_trials=5, max_concurrent_trials=0), 5, 64),
        (config("random", max_trials=5), 5, 64),
        (config("grid", hyperparameters={"x": {"type": "categorical", "vals": [1, 2, 3]}}), 3, 64),
        (config("async_halving", max_trials=16, num_rungs=3), 16, 4),
        (config("async_halving", max_trials=1), 1, 64),
    ],
)
def test_an_experiment_starts_as_many_as_it_may(found: object, started: int, target: int) -> None:
    pool = Pool()
    told = pool.submit(found)  # type: ignore[arg-type]
    assert told == ["search.accepted"] + ["trial.created", "trial.requested"] * started
    first = pool.said(TrialRequested)[0]
    assert (first.attempt, first.task.target, first.task.checkpoint) == (1, target, None)
    assert pool.submit(found) == []  # type: ignore[arg-type]


def test_a_task_carries_what_the_experiment_says_of_its_environment() -> None:
    said = {"preload": ["timm"], "secrets": ["KEY"], "environment_variables": {"A": "1"}}
    task = Pool(config("single", environment=said)).said(TrialRequested)[0].task
    assert (task.preload, task.secrets, task.environment) == (["timm"], ["KEY"], {"A": "1"})


def test_each_result_counts_once_and_in_order_of_time() -> None:
    pool = Pool(config())
    assert pool.report(0, 10, 1.0) == ["trial.measured"]
    assert pool.report(0, 10, 1.0) == []
    assert pool.report(0, 9, 0.1) == []
    assert pool.report(0, 20, 1.0, attempt=2) == []  # no such attempt
    assert pool.report(0, 64, 2.0) == ["trial.measured", "trial.completed"]
    assert pool.end(0, "stopped") == ["trial.released", "search.completed"]
    assert pool.report(0, 70, 0.0, attempt=1) == []
    best = pool.said(SearchCompleted)[0].best
    assert (best.metric, best.step) == (1.0, 100)


def test_a_result_that_the_end_of_its_attempt_overtook_still_counts() -> None:
    pool = Pool(config())
    pool.end(0, "preempted")
    assert pool.report(0, 64, 1.0, attempt=1) == ["trial.measured", "trial.completed"]


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_is_no_number_is_measured_but_never_the_best(value: float | None) -> None:
    pool = Pool(config())
    assert pool.report(0, 64, value) == ["trial.measured", "trial.completed"]
    assert pool.said(TrialMeasured)[0].metric is None
    pool.end(0, "completed")
    assert pool.said(SearchCompleted)[0].best is None


def test_a_checkpoint_is_noted_if_it_is_further_and_never_goes_back() -> None:
    pool = Pool(config())
    assert pool.save(0, 100) == ["trial.checkpointed"]
    assert pool.save(0, 100) == []
    assert pool.save(0, 50) == []
    pool.end(0, "preempted")
    assert pool.said(TrialRequested)[-1].task.checkpoint.step == 100
    assert pool.save(0, 200, attempt=1) == ["trial.checkpointed"]
    assert pool.save(0, 150) == []
    assert pool.save(0, 300, attempt=9) == []


def test_the_best_checkpoint_is_the_one_of_the_best_step_and_may_come_last() -> None:
    pool = Pool(config())
    pool.report(0, 10, 1.0)
    pool.save(0, 100)
    pool.report(0, 64, 2.0)
    assert pool.save(0, 640) == ["trial.checkpointed"]  # on its way out
    assert len(pool.said(TrialCheckpointed)) == 2
    pool.end(0, "stopped")
    assert pool.said(SearchCompleted)[0].best.checkpoint.step == 100


@pytest.mark.parametrize(
    ("outcome", "budget"), [("failed", 3), ("lost", 20), ("preempted", None), ("stopped", None)]
)
def test_each_cause_has_a_budget_of_its_own(outcome: str, budget: int | None) -> None:
    pool = Pool(config(max_restarts=3))
    for n in range(budget if budget is not None else 50):
        assert pool.end(0, outcome, "because") == AGAIN
        assert pool.said(TrialRequested)[-1].attempt == n + 2
    if budget is None:
        return
    assert pool.end(0, outcome, "CUDA out of memory") == [
        "trial.interrupted", "trial.failed", "search.failed",
    ]  # fmt: skip
    assert "CUDA out of memory" in pool.said(TrialFailed)[0].reason
    assert "CUDA out of memory" in pool.said(SearchFailed)[0].reason


def test_losses_do_not_use_up_restarts() -> None:
    pool = Pool(config(max_restarts=0))
    for _ in range(5):
        assert pool.end(0, "lost") == AGAIN
    assert "trial.failed" in pool.end(0, "failed")


def test_a_script_that_ends_without_a_result_has_failed() -> None:
    pool = Pool(config(max_restarts=1))
    assert pool.end(0, "completed") == AGAIN
    assert pool.said(TrialInterrupted)[0].reason == "ended without reporting the metric loss"
    assert "trial.failed" in pool.end(0, "completed")


def test_a_script_that_ends_by_itself_with_a_result_is_complete() -> None:
    pool = Pool(config())
    pool.report(0, 0, 1.0)
    assert pool.end(0, "completed") == ["trial.completed", "trial.released", "search.completed"]


def test_an_end_that_overtook_the_last_result_waits_for_it() -> None:
    pool = Pool(config(max_restarts=0))
    assert pool.end(0, "completed", last_time=20) == ["trial.released"]
    assert pool.tick() == []
    assert pool.report(0, 10, 3.0) == ["trial.measured"]
    assert pool.report(0, 20, 2.0) == ["trial.measured", "trial.completed", "search.completed"]
    assert pool.said(SearchCompleted)[0].best.metric == 2.0
    pool = Pool(config(max_restarts=0))
    pool.report(0, 20, 2.0)
    assert pool.end(0, "completed", last_time=20)[0] == "trial.completed"


def test_a_pause_while_the_last_result_is_awaited_goes_on_after_it() -> None:
    pool = Pool(config())
    pool.end(0, "completed", last_time=20)
    pool.ask("pause")
    assert pool.report(0, 20, 2.0) == ["trial.measured"]
    assert pool.ask("resume") == ["search.resumed", "trial.requested"]
    pool.check_replay()


def test_the_end_of_an_old_attempt_or_a_second_end_changes_nothing() -> None:
    pool = Pool(config())
    pool.end(0, "preempted")
    assert pool.end(0, "failed", attempt=1) == []
    pool.ask("pause")
    assert pool.end(0, "stopped") == ["trial.released"]
    assert pool.end(0, "stopped") == []


def test_a_failed_trial_gives_its_place_on_and_the_search_goes_on() -> None:
    pool = Pool(config("random", max_trials=3, max_concurrent_trials=1, max_restarts=0))
    assert pool.end(0, "failed", "x") == [
        "trial.interrupted", "trial.failed", "trial.created", "trial.requested",
    ]  # fmt: skip
    pool.train(lambda n, t: n)
    done = pool.said(SearchCompleted)[0]
    assert (done.best.trial_id, done.trials) == ("e-1", 3)
    assert "1 of them failed" in done.reason


def test_all_failed_is_a_failed_search() -> None:
    pool = Pool(config("random", max_trials=2, max_restarts=0))
    pool.end(0, "failed", "x")
    assert pool.end(1, "failed", "y")[-1] == "search.failed"


def test_pause_and_resume() -> None:
    pool = Pool(config("random", max_trials=4, max_concurrent_trials=2))
    pool.save(0, 10)
    assert pool.ask("pause") == ["search.paused", "trial.paused", "trial.paused"]
    assert pool.ask("pause") == []
    assert pool.report(0, 10, 1.0) == ["trial.measured"]  # it was on its way
    assert pool.end(0, "stopped") == ["trial.released"]
    assert pool.ask("resume") == ["search.resumed", "trial.requested"]
    assert pool.ask("resume") == []
    assert pool.said(TrialRequested)[-1].task.checkpoint.step == 10
    assert pool.end(1, "stopped") == ["trial.released", "trial.requested"]  # was still leaving
    pool.train(lambda n, t: n)
    assert pool.said(SearchCompleted)[0].trials == 4
    pool.check_replay()


def test_a_trial_that_completes_while_paused_is_complete() -> None:
    pool = Pool(config())
    pool.ask("pause")
    assert pool.report(0, 64, 1.0) == ["trial.measured", "trial.completed"]
    assert pool.end(0, "stopped") == ["trial.released"]
    assert pool.ask("resume") == ["search.resumed", "search.completed"]


@pytest.mark.parametrize("stop_once", [False, True])
def test_a_persons_pause_is_not_the_methods(stop_once: bool) -> None:
    pool = Pool(config("async_halving", max_trials=8, num_rungs=2, max_concurrent_trials=4,
                       stop_once=stop_once))  # fmt: skip
    pool.report(0, 16, 1.0)  # paused by the method, or the first to pass
    pool.ask("pause")
    pool.report(1, 16, 2.0)  # reached its rung while the experiment was paused
    for n in range(len(pool.trials)):
        if pool.trial(n).holding:
            pool.end(n, "stopped")
    running = [n for n in pool.in_state("paused") if pool.trial(n).held_by_user]
    assert 1 not in running
    assert (0 in running) is stop_once
    told = pool.ask("resume")
    assert told.count("trial.requested") == 4
    assert set(running) <= set(pool.in_state("wanted"))
    pool.train(lambda n, t: n)
    pool.check_replay()


@pytest.mark.parametrize("at_once", [True, False])
def test_whoever_is_killed_does_not_checkpoint(at_once: bool) -> None:
    pool = Pool(config("random", max_trials=4, max_concurrent_trials=2))
    body = ExperimentCancelRequested(experiment_id="e", at_once=at_once)
    pool.tell(body)
    assert [event.at_once for event in pool.said(TrialCancelled)] == [at_once] * 2


def test_cancel() -> None:
    pool = Pool(config("random", max_trials=4, max_concurrent_trials=2))
    pool.report(0, 10, 3.0)
    pool.report(1, 10, 2.0)
    assert pool.ask("cancel") == ["trial.cancelled", "trial.cancelled", "search.cancelled"]
    assert pool.said(SearchCancelled)[0].best.trial_id == "e-1"
    assert pool.ask("cancel") == []
    assert pool.end(0, "stopped", attempt=1) == []
    assert pool.runner.state.experiments == {}
    pool.check_replay()


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_the_impossible_is_refused_with_a_reason(verb: str) -> None:
    pool = Pool()
    assert pool.ask(verb, "nobody") == ["refused.message"]
    pool.submit(config())
    pool.report(0, 64, 1.0)
    pool.end(0, "stopped")
    assert pool.ask(verb) == ["refused.message"]
    unknown, over = pool.said(Refused)
    assert "no such experiment" in unknown.reason
    assert "completed already" in over.reason
    assert over.subject_id == "e"


def test_resuming_what_was_never_paused_is_refused() -> None:
    pool = Pool(config())
    assert pool.ask("resume") == ["refused.message"]


def test_what_is_too_much_for_one_batch_follows_by_the_tick() -> None:
    pool = Pool(config("random", max_trials=1000, max_concurrent_trials=0))
    while told := pool.tick():
        assert len(told) <= CHUNK + 2
    assert len(pool.in_state("wanted")) == 1000
    pool.ask("pause")
    while told := pool.tick():
        assert len(told) <= CHUNK + 2
    assert len(pool.in_state("paused")) == 1000
    assert len(pool.ask("cancel")) == CHUNK + 1
    pool.check_replay()
    while told := pool.tick():
        assert len(told) <= CHUNK + 2
    assert len(pool.in_state("cancelled")) == 1000
    assert pool.runner.state.closing == {}
    pool.check_replay()


def test_memory_stays_flat_over_many_experiments() -> None:
    pool = Pool()
    for n in range(50):
        pool.submit(config("random", max_trials=8), f"x{n}")
        pool.ask("cancel", f"x{n}")
    assert pool.runner.state.experiments == {}
    assert len(pool.decider.dump(pool.runner.state)) < 50 * 40


def test_one_trial_is_killed_and_another_takes_its_place() -> None:
    pool = Pool(config("random", max_trials=3, max_concurrent_trials=2))
    told = pool.stop(0, at_once=True)
    assert told == ["trial.cancelled", "trial.created", "trial.requested"]
    killed = pool.said(TrialCancelled)[0]
    assert (killed.at_once, killed.reason) == (True, "it was killed on request")
    assert pool.stop(0, at_once=True) == []
    assert pool.end(0, "stopped") == ["trial.released"]
    pool.train(lambda n, t: float(n))
    assert pool.said(SearchCompleted)[0].best.trial_id == "e-1"
    pool.check_replay()
