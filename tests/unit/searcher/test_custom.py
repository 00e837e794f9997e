"""A search that a program drives: creating, extending and stopping trials."""

from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import (
    Checkpoint,
    ExperimentFinishRequested,
    Refused,
    SearchCompleted,
    TrialCancelled,
    TrialCreated,
    TrialCreateRequested,
    TrialExtendRequested,
    TrialRequested,
)
from shoal_searcher.core.messages import Found


class Program:
    """Asks as a user's program does."""

    def __init__(self, **changes: Any) -> None:
        self.pool = Pool(config("custom", **changes))

    def create(self, request: str, target: int | None = None, **values: Any) -> list[str]:
        return self.pool.tell(
            TrialCreateRequested(
                experiment_id="e", request_id=request, hyperparameters=values, target=target
            )
        )

    def extend(self, n: int, target: int) -> list[str]:
        return self.pool.tell(
            TrialExtendRequested(experiment_id="e", trial_id=f"e-{n}", target=target)
        )

    def finish(self) -> list[str]:
        return self.pool.tell(ExperimentFinishRequested(experiment_id="e"))

    def refused(self) -> str:
        return str(self.pool.said(Refused)[-1].reason)


BEGUN = ["trial.created", "trial.requested"]


def test_it_waits_for_its_program() -> None:
    program = Program()
    assert [event.type for event in program.pool.events] == ["search.accepted"]
    assert program.pool.tick() == []
    assert program.create("a", lr=0.1) == BEGUN
    made = program.pool.said(TrialCreated)[0]
    assert (made.origin, made.request_id, made.hyperparameters) == ("program", "a", {"lr": 0.1})
    assert program.pool.said(TrialRequested)[0].task.target == 64


def test_the_same_request_twice_makes_one_trial() -> None:
    program = Program()
    program.create("a", lr=0.1)
    assert program.create("a", lr=0.1) == []
    assert program.create("b", lr=0.1) == BEGUN


def test_at_its_target_a_trial_waits_and_an_extension_goes_on_from_its_checkpoint() -> None:
    program = Program()
    pool = program.pool
    program.create("a", target=8)
    pool.save(0, 80)
    assert pool.report(0, 4, 2.0) == ["trial.measured"]
    assert pool.report(0, 8, 1.0) == ["trial.measured", "trial.paused"]
    assert pool.end(0, "stopped") == ["trial.released"]
    assert program.extend(0, 32) == ["trial.extended", "trial.requested"]
    task = pool.said(TrialRequested)[-1].task
    assert (task.attempt, task.target, task.checkpoint.step) == (2, 32, 80)
    assert program.extend(0, 32) == []
    assert program.extend(0, 64) == ["trial.extended"]  # it trains; it is told
    assert pool.report(0, 32, 0.9) == ["trial.measured"]
    assert pool.report(0, 64, 0.8) == ["trial.measured", "trial.completed"]


def test_an_extension_of_one_that_is_still_leaving_waits_for_its_end() -> None:
    program = Program()
    program.create("a", target=8)
    program.pool.report(0, 8, 1.0)
    assert program.extend(0, 16) == ["trial.extended"]
    assert program.pool.end(0, "stopped") == ["trial.released", "trial.requested"]


def test_more_than_may_be_in_the_air_come_in_turn() -> None:
    program = Program(max_concurrent_trials=2)
    pool = program.pool
    for n in range(6):
        program.create(f"r{n}", n=n)
    assert pool.in_state("wanted") == [0, 1]
    for n in range(6):
        pool.report(n, 64, float(n))
        pool.end(n, "stopped")
        assert len(pool.in_state("wanted")) == min(2, 5 - n)
    assert not pool.over
    assert program.finish() == ["search.closing", "search.completed"]
    assert pool.said(SearchCompleted)[0].trials == 6


def test_trials_that_are_created_while_paused_begin_when_it_goes_on() -> None:
    program = Program(max_concurrent_trials=2)
    program.pool.ask("pause")
    for n in range(4):
        assert program.create(f"r{n}") == ["trial.created"]
    assert program.pool.ask("resume") == ["search.resumed"] + ["trial.requested"] * 2
    program.finish()
    program.pool.train(lambda n, t: float(n))
    assert program.pool.searches["e"] == "completed"


def test_a_failed_trial_gives_its_place_on() -> None:
    program = Program(max_concurrent_trials=1, max_restarts=0)
    program.create("a")
    program.create("b")
    assert program.pool.end(0, "failed", "x") == [
        "trial.interrupted", "trial.failed", "trial.requested",
    ]  # fmt: skip


def test_finishing_lets_trials_train_to_their_targets() -> None:
    program = Program(max_concurrent_trials=1)
    pool = program.pool
    program.create("a", target=8)
    program.create("b", target=8)
    pool.report(0, 8, 1.0)
    pool.end(0, "stopped")
    program.extend(0, 16)  # which waits for its turn: b is in the air
    assert program.finish() == ["search.closing"]
    assert program.finish() == []
    assert pool.report(1, 8, 2.0)[-2:] == ["trial.paused", "trial.requested"]
    pool.end(1, "stopped")
    pool.report(0, 16, 0.5)
    assert pool.end(0, "stopped")[-1] == "search.completed"
    done = pool.said(SearchCompleted)[0]
    assert (done.best.trial_id, done.best.metric) == ("e-0", 0.5)
    assert "its program wants no more trials" in done.reason


def test_killing_a_trial() -> None:
    program = Program()
    program.create("a")
    assert program.pool.stop(0, at_once=True) == ["trial.cancelled"]
    assert program.pool.said(TrialCancelled)[0].at_once
    assert program.pool.stop(0, at_once=True) == []
    assert program.pool.end(0, "stopped") == ["trial.released"]
    assert program.finish() == ["search.closing", "search.completed"]


def test_stopping_a_trial() -> None:
    program = Program()
    program.create("a")
    assert program.pool.stop(0) == ["trial.stopped"]
    assert program.pool.stop(0) == []
    assert program.pool.end(0, "stopped") == ["trial.released"]
    assert program.finish() == ["search.closing", "search.completed"]


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        (lambda p: p.create("b", target=65), "the target 65 exceeds max_time, 64"),
        (lambda p: p.extend(0, 65), "the target 65 exceeds max_time, 64"),
        (lambda p: p.extend(0, 4), "has a target of 8 already"),
        (lambda p: p.extend(9, 16), "it has no trial e-9"),
        (lambda p: p.pool.stop(9), "it has no trial e-9"),
        (lambda p: p.pool.stop(0) and p.pool.end(0, "stopped") and p.extend(0, 16),
         "trial e-0 is stopped already"),
        (lambda p: p.finish() and p.create("b"), "it takes no more trials"),
        (lambda p: p.pool.ask("cancel") and p.create("b"), "it is cancelled already"),
        (lambda p: p.pool.change(max_trials=3), "custom has no max_trials"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_reason(asks: Any, said: str) -> None:
    program = Program()
    program.create("a", target=8)
    assert asks(program) == ["refused.message"]
    assert said in program.refused()
    program.pool.check_replay()


def test_one_that_has_not_begun_is_extended_later() -> None:
    program = Program(max_concurrent_trials=1)
    program.create("a", target=8)
    program.create("b", target=8)
    assert program.extend(1, 16) == ["refused.message"]
    assert "has not begun" in program.refused()


@pytest.mark.parametrize("name", ["random", "single", "pbt"])
def test_other_methods_take_no_orders(name: str) -> None:
    changes = {"random": {"max_trials": 2}, "single": {}, "pbt": {"population_size": 2}}[name]
    program = Program()
    program.pool = Pool(config(name, **changes))
    for told in (program.create("a"), program.extend(0, 64), program.finish()):
        assert told == ["refused.message"]
        assert "not custom" in program.refused()


def test_its_trials_start_from_another_trials_weights_once_they_are_found() -> None:
    program = Program(source_trial_id="y-0")
    pool = program.pool
    assert program.create("a") == ["trial.created"]
    found = Found(experiment_id="e", checkpoint=Checkpoint(url="file:///y", step=5, attempt=1))
    assert pool.tell(found) == ["search.warmed", "trial.requested"]
    assert program.create("b") == BEGUN
    for event in pool.said(TrialRequested):
        assert (event.task.checkpoint.url, event.task.inherits) == ("file:///y", "weights")
    pool.save(0, 10)
    pool.end(0, "lost")
    task = pool.said(TrialRequested)[-1].task
    assert (task.checkpoint.url, task.inherits) == ("file:///s/0/10", "nothing")
    pool.check_replay()
