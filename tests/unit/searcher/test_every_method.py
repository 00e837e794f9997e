"""What holds of every search method alike."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import (
    ExperimentFinishRequested,
    Refused,
    SearchCompleted,
    SearchFailed,
    TrialCreated,
    TrialCreateRequested,
    TrialInterrupted,
    TrialRequested,
)
from shoal_decider import fold

GRID = {"x": {"type": "categorical", "vals": list(range(8))}}
CASES: dict[str, dict[str, Any]] = {
    "single": {},
    "random": {"max_trials": 9, "max_concurrent_trials": 4},
    "random-tpe": {"max_trials": 9, "max_concurrent_trials": 4,
                   "sampler": {"name": "tpe", "startup_trials": 3}},
    "random-cmaes": {"max_trials": 9, "max_concurrent_trials": 4, "sampler": "cmaes"},
    "grid": {"hyperparameters": GRID, "max_concurrent_trials": 3},
    "async_halving": {"max_trials": 16, "num_rungs": 3, "max_concurrent_trials": 4},
    "async_halving-once": {"max_trials": 16, "num_rungs": 3, "max_concurrent_trials": 4,
                           "stop_once": True},
    "adaptive_asha": {"max_trials": 16, "divisor": 2, "max_concurrent_trials": 6},
    "hyperband": {"max_time": 16, "divisor": 4, "max_concurrent_trials": 5},
    "pbt": {"population_size": 6, "rounds": 4, "truncate_fraction": 0.4,
            "max_concurrent_trials": 6},
    "custom": {"max_concurrent_trials": 2},
}  # fmt: skip
ALL = list(CASES)
MANY = [case for case in ALL if case != "single"]


def begun(case: str, pool: Pool | None = None, **changes: Any) -> Pool:
    """An experiment of each method, begun; the custom one wants six trials in full."""
    pool = pool or Pool(grants=True)
    pool.submit(config(case.partition("-")[0], **(CASES[case] | changes)))
    if case == "custom":
        for n in range(6):
            pool.tell(
                TrialCreateRequested(
                    experiment_id="e", request_id=f"r{n}", hyperparameters={"n": n}
                )
            )
        pool.tell(ExperimentFinishRequested(experiment_id="e"))
    return pool


def quality(n: int, time: int) -> float:
    """Every trial gets better with time and keeps its place; the seventh is the best."""
    return (n - 6) ** 2 + 50 / time


def flying(pool: Pool) -> list[int]:
    return sorted(pool.in_state("wanted"))


def holding(pool: Pool) -> list[int]:
    return [t.number for t in pool.experiment.trials.values() if t.holding]


@pytest.mark.parametrize("case", ALL)
def test_a_search_ends_with_the_best_of_what_it_trained(case: str) -> None:
    pool, seen = begun(case), dict[str, float]()

    def value(n: int, time: int) -> float:
        found = quality(n, time)
        seen[f"e-{n}"] = min(found, seen.get(f"e-{n}", math.inf))
        return found

    pool.train(value, saves=True)
    done = pool.said(SearchCompleted)[0]
    assert done.best.metric == min(seen.values())
    assert seen[done.best.trial_id] == done.best.metric
    assert done.trials == len(seen) == len(pool.trials)
    assert done.best.checkpoint.url.startswith(f"file:///s/{done.best.trial_id[2:]}/")
    assert all(state in ("completed", "stopped") for state in pool.trials.values())
    pool.check_replay()


class Forgetful(Pool):
    """Dies after every message, and reads its state anew: from a snapshot, or from its events."""

    def __init__(self, refolds: bool) -> None:
        self.refolds = refolds
        super().__init__(grants=True)

    def _tell(self, body: Any) -> list[str]:
        decider = self.decider
        if self.refolds:
            self.runner.state = fold(decider, decider.initial(), self.events)
        else:
            self.runner.state = decider.load(decider.dump(self.runner.state))
        return super()._tell(body)


def played(pool: Pool, seed: int) -> Pool:
    """A life with everything in it, the same for the same seed as long as decisions are."""
    rng = random.Random(seed)
    for _ in range(250):
        if pool.over:
            break
        act = rng.choice(["report", "report", "report", "save", "end", "grant", "pause", "tick"])
        pool.now += rng.randrange(100)
        if act == "tick":
            pool.tick()
        elif act == "pause":
            pool.ask("pause")
            pool.ask("resume")
        elif held := holding(pool):
            n = rng.choice(held)
            if act == "report":
                pool.report(n, pool.targets[f"e-{n}"], rng.choice([rng.random(), math.nan]))
            elif act == "save":
                pool.save(n, max(0, pool.trial(n).time) * 10)
            elif act == "grant":
                pool.grant(n, pool.now)
            else:
                pool.end(n, rng.choice(["failed", "lost", "preempted", "stopped", "completed"]))
    return pool


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("refolds", [False, True])
def test_one_that_dies_after_each_message_decides_the_same(case: str, refolds: bool) -> None:
    for seed in range(3):
        undisturbed = played(begun(case), seed)
        assert played(begun(case, Forgetful(refolds)), seed).events == undisturbed.events


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("outcome", ["failed", "completed"])
def test_a_failing_trial_is_tried_again_from_its_checkpoint_then_gives_its_place_on(
    case: str, outcome: str
) -> None:
    pool = begun(case, max_restarts=2)
    before = len(flying(pool))
    pool.save(0, 7)
    for attempt in (2, 3):
        assert pool.end(0, outcome, "why") == ["trial.interrupted", "trial.requested"]
        again = pool.said(TrialRequested)[-1]
        assert (again.trial_id, again.attempt, again.task.checkpoint.step) == ("e-0", attempt, 7)
    told = pool.end(0, outcome, "why")
    assert told[:2] == ["trial.interrupted", "trial.failed"]
    if case == "single":
        assert told[2:] == ["search.failed"]
        return
    if case != "pbt":  # whose population is all in the air at once
        assert len(flying(pool)) == before
    pool.train(quality, saves=True)
    done = pool.said(SearchCompleted)[0]
    assert "1 of them failed" in done.reason
    assert done.best.trial_id != "e-0"


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("outcome", ["lost", "preempted", "stopped"])
def test_what_is_not_its_fault_uses_up_no_restarts(case: str, outcome: str) -> None:
    pool = begun(case, max_restarts=0)
    for _ in range(5):
        assert pool.end(0, outcome) == ["trial.interrupted", "trial.requested"]
    assert {e.outcome for e in pool.said(TrialInterrupted)} == {outcome}
    pool.train(quality)
    assert pool.searches["e"] == "completed"


@pytest.mark.parametrize("case", ALL)
def test_a_search_of_which_all_trials_fail_fails_with_the_last_reason(case: str) -> None:
    pool = begun(case, max_restarts=0)
    while not pool.over:
        pool.end(holding(pool)[0], "failed", "out of memory")
    failed = pool.said(SearchFailed)[0]
    assert "out of memory" in failed.reason
    assert failed.best is None


@pytest.mark.parametrize("case", MANY)
@pytest.mark.parametrize("smaller", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_no_number_loses(case: str, smaller: bool, value: float | None) -> None:
    pool = begun(case, smaller_is_better=smaller)
    sign = 1 if smaller else -1
    pool.train(lambda n, t: value if n % 2 == 0 else sign * quality(n, t), saves=True)
    best = pool.said(SearchCompleted)[0].best
    assert int(best.trial_id[2:]) % 2 == 1
    assert math.isfinite(best.metric)
    pool.check_replay()


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("value", [math.nan, None])
def test_a_search_without_a_number_ends_without_a_best(case: str, value: float | None) -> None:
    pool = begun(case)
    pool.train(lambda n, t: value, saves=True)
    assert pool.said(SearchCompleted)[0].best is None


@pytest.mark.parametrize("case", ALL)
def test_a_result_that_is_repeated_or_late_counts_once(case: str) -> None:
    pool = begun(case)
    target = pool.targets["e-0"]
    first = pool.report(0, target, 1.0)
    assert first[0] == "trial.measured"
    for time, value in ((target, 1.0), (target, 0.0), (target - 1, 0.0), (0, -5.0), (-1, -5.0)):
        assert pool.report(0, time, value) == []
    pool.train(lambda n, t: 2.0 + n)
    assert pool.said(SearchCompleted)[0].best.metric == 1.0


@pytest.mark.parametrize("case", ALL)
def test_pause_and_resume(case: str) -> None:
    pool = begun(case)
    before = flying(pool)
    for n in before:
        pool.grant(n, 0.0)
    assert pool.ask("pause") == ["search.paused"] + ["trial.paused"] * len(before)
    assert pool.ask("pause") == []
    told = pool.report(before[0], pool.targets[f"e-{before[0]}"], 1.0)  # it was on its way
    for n in before:
        told += pool.end(n, "stopped")
    told += pool.tick()
    assert "trial.requested" not in told
    assert holding(pool) == []
    assert pool.ask("resume")[0] == "search.resumed"
    if case != "single":
        assert len(flying(pool)) == len(before)
        assert pool.ask("resume") == []
        pool.train(quality, saves=True)
    assert pool.searches["e"] == "completed"
    pool.check_replay()


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("paused", [False, True])
def test_cancel(case: str, paused: bool) -> None:
    pool = begun(case)
    pool.report(0, 1, 1.0)
    if paused:
        pool.ask("pause")
    told = pool.ask("cancel")
    assert told[-1] == "search.cancelled"
    assert pool.over
    assert set(pool.trials.values()) <= {"cancelled", "paused", "completed", "stopped"}
    assert pool.ask("cancel") == []
    assert pool.ask("resume") == ["refused.message"]
    assert pool.tick() == []
    pool.check_replay()


@pytest.mark.parametrize("case", MANY)
def test_one_trial_can_be_ended_and_the_search_goes_on(case: str) -> None:
    pool = begun(case)
    closed = "trial.stopped" if case == "custom" else "trial.cancelled"
    assert pool.stop(0)[0] == closed
    assert pool.stop(0) == []
    assert pool.stop(99) == ["refused.message"]
    assert "has no trial e-99" in pool.said(Refused)[0].reason
    assert pool.report(0, 64, -100.0, attempt=1) == []
    assert pool.end(0, "stopped", attempt=1)[0] == "trial.released"
    pool.train(quality, saves=True)
    done = pool.said(SearchCompleted)[0]
    assert done.best.trial_id != "e-0"
    assert pool.trials["e-0"] == closed.removeprefix("trial.")


@pytest.mark.parametrize("case", MANY)
def test_a_trial_can_be_ended_while_its_experiment_is_paused(case: str) -> None:
    pool = begun(case)
    pool.ask("pause")
    assert len(pool.stop(0)) == 1
    for n in holding(pool):
        pool.end(n, "stopped")
    pool.ask("resume")
    assert 0 not in flying(pool)
    pool.train(quality, saves=True)
    assert pool.searches["e"] == "completed"


def test_the_only_trial_that_is_ended_ends_the_search() -> None:
    pool = begun("single")
    assert pool.stop(0) == ["trial.cancelled"]
    assert pool.end(0, "stopped") == ["trial.released", "search.completed"]
    assert pool.said(SearchCompleted)[0].best is None


HOLDS = ["random", "grid", "async_halving", "async_halving-once", "adaptive_asha", "hyperband"]
"""Methods whose draws depend on the seed and the number alone. It cannot hold of `pbt`, which
copies from whoever is best so far, of samplers that learn from the results that there are, and of
`custom`, whose program proposes."""


@pytest.mark.parametrize("case", HOLDS)
def test_the_same_seed_proposes_the_same_whatever_the_order_of_reports(case: str) -> None:
    made = []
    for shuffle in range(4):
        order = list(range(40))
        random.Random(shuffle).shuffle(order)
        pool = begun(case, seed=11)
        pool.train(quality, order)
        created = pool.said(TrialCreated)
        assert [e.number for e in created] == list(range(len(created)))
        made.append([(e.number, e.hyperparameters, e.seed) for e in created])
    assert all(one == made[0] for one in made)
    other = begun(case, seed=12)
    assert [e.seed for e in other.said(TrialCreated)] != [seed for _, _, seed in made[0]]


COMPARED: list[tuple[str, Callable[[int, int], float]]] = [
    (case, value) for case in ALL for value in (quality, lambda n, t: 1.0)
]


@pytest.mark.parametrize(("case", "value"), COMPARED)
def test_the_same_life_twice_is_the_same(case: str, value: Callable[[int, int], float]) -> None:
    lives = []
    for _ in range(2):
        pool = begun(case, seed=5)
        pool.train(value, saves=True)
        lives.append(pool.events)
    assert lives[0] == lives[1]
