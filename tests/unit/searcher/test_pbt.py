"""Population based training: who is replaced, by a copy of whom, with which hyperparameters."""

import math
import random
from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import (
    SearchCompleted,
    TrialCreated,
    TrialFailed,
    TrialRequested,
    TrialStopped,
)
from shoal_searcher.core import space
from shoal_searcher.core.methods import METHODS

SPACE = {
    "lr": {"type": "log", "minval": -4, "maxval": -1},
    "net": {"depth": {"type": "int", "minval": 1, "maxval": 3}, "name": "unet"},
    "drop": {"type": "double", "minval": 0.0, "maxval": 0.5},
    "opt": {"type": "categorical", "vals": ["sgd", "adam"]},
    "momentum": {"type": "double", "minval": 0.1, "maxval": 0.9, "when": "opt == 'sgd'"},
    "fix": {"type": "const", "val": 7},
}


def pbt(**changes: Any) -> Pool:
    given = {"population_size": 4, "rounds": 4, "max_time": 64, "hyperparameters": SPACE}
    return Pool(config("pbt", **(given | changes)), grants=True)


def round_of(pool: Pool, time: int, losses: list[float], saves: bool = True) -> list[str]:
    """Each trial reports its loss; what follows from the last."""
    told: list[str] = []
    for n, loss in enumerate(losses):
        if saves:
            pool.save(n, time * 10)
        told = pool.report(n, time, loss)
    return told


def test_the_worst_is_replaced_by_a_copy_of_the_best_that_goes_on_with_its_training() -> None:
    pool = pbt()
    assert round_of(pool, 16, [1.0, 2.0, 3.0, 4.0]) == [
        "trial.measured", "trial.stopped", "trial.created", "trial.requested",
    ]  # fmt: skip
    made, task = pool.said(TrialCreated)[-1], pool.said(TrialRequested)[-1].task
    assert (made.trial_id, made.origin, made.parent, made.rung) == ("e-4", "pbt", "e-0", 0)
    assert (task.trial_id, task.attempt, task.target) == ("e-4", 1, 32)
    assert (task.inherits, task.checkpoint) == ("training", pool.trial(0).checkpoint)
    assert "replaced by a copy of e-0: rank 4 of 4" in pool.said(TrialStopped)[0].reason


def test_with_few_slots_the_population_takes_turns_and_the_worst_are_replaced_then() -> None:
    pool = Pool(config("pbt", population_size=4, rounds=4, hyperparameters=SPACE))
    for n, loss in enumerate([4.0, 1.0, 2.0]):  # nobody was heard to have slots
        pool.save(n, 160)
        assert "trial.paused" in pool.report(n, 16, loss)
        pool.end(n, "stopped")
    assert "gives 1 others their turn" in pool.trial(2).reason
    pool.save(3, 160)
    pool.report(3, 16, 3.0)
    assert [e.trial_id for e in pool.said(TrialStopped)] == ["e-0"]
    assert pool.said(TrialCreated)[-1].parent == "e-1"
    wanted = {e.trial_id: e.task.target for e in pool.said(TrialRequested)}
    assert [wanted[f"e-{n}"] for n in (1, 2, 4)] == [32, 32, 32]
    pool.check_replay()


def test_a_copy_is_tried_again_from_its_parents_checkpoint_then_from_its_own() -> None:
    pool = pbt()
    round_of(pool, 16, [1.0, 2.0, 3.0, 4.0])
    pool.end(4, "lost")
    task = pool.said(TrialRequested)[-1].task
    assert (task.inherits, task.checkpoint.url) == ("training", "file:///s/0/160")
    pool.save(4, 200)
    pool.end(4, "lost")
    task = pool.said(TrialRequested)[-1].task
    assert (task.inherits, task.checkpoint.url) == ("nothing", "file:///s/4/200")


def test_without_a_checkpoint_to_copy_everybody_goes_on() -> None:
    pool = pbt()
    assert round_of(pool, 16, [1.0, 2.0, 3.0, 4.0], saves=False) == [
        "trial.measured", "trial.extended",
    ]  # fmt: skip
    told = round_of(pool, 32, [1.0, 2.0, 3.0, math.nan], saves=False)
    assert told == ["trial.measured", "trial.stopped"]


def test_larger_may_be_better() -> None:
    pool = pbt(smaller_is_better=False)
    round_of(pool, 16, [2.0, 3.0, 4.0, 1.0])
    assert pool.said(TrialCreated)[-1].parent == "e-2"


def test_the_last_round_replaces_nobody() -> None:
    pool = pbt(rounds=1)
    assert round_of(pool, 64, [1.0, 2.0, 3.0, 4.0]) == ["trial.measured", "trial.completed"]
    assert len(pool.trials) == 4


def test_a_copy_of_one_that_has_gone_on_stands_where_its_checkpoint_does() -> None:
    pool = pbt()
    pool.report(0, 16, 1.0)
    pool.report(0, 32, 0.5)
    pool.save(0, 320)
    for n in range(1, 4):
        pool.report(n, 16, 1.0 + n)
    copy = pool.said(TrialCreated)[-1]
    assert (copy.parent, copy.rung) == ("e-0", 1)
    assert pool.said(TrialRequested)[-1].task.target == 48


def test_one_that_is_trained_in_full_is_not_copied() -> None:
    pool = pbt()
    for time in (16, 32, 48, 64):
        pool.save(0, time * 10)
        pool.report(0, time, 1.0)
    assert pool.trials["e-0"] == "completed"
    for n in range(1, 4):
        pool.report(n, 16, 1.0 + n)
    assert len(pool.trials) == 4


def test_a_trial_that_failed_after_a_round_is_replaced_too() -> None:
    pool = pbt(max_restarts=0)
    round_of(pool, 16, [1.0, 2.0, 3.0, 4.0])
    assert pool.end(2, "failed", "x") == [
        "trial.interrupted", "trial.failed", "trial.created", "trial.requested",
    ]  # fmt: skip
    assert pool.said(TrialCreated)[-1].parent == "e-0"
    assert pool.end(0, "failed", "y")[:2] == ["trial.interrupted", "trial.failed"]
    round_of(pool, 32, [])
    parents = {e.parent for e in pool.said(TrialCreated)[6:]}
    assert "e-0" not in parents  # it failed
    assert len(pool.said(TrialFailed)) == 2


@pytest.mark.parametrize("constraints", [[], ["lr * net.depth <= 0.02", "drop < 0.4"]])
def test_a_population_keeps_its_size_its_ranges_and_its_constraints(constraints: Any) -> None:
    for seed in range(6):
        pool = pbt(population_size=8, rounds=6, max_time=60, truncate_fraction=0.3, seed=seed,
                   constraints=constraints)  # fmt: skip
        sizes: set[int] = set()

        def value(n: int, t: int, pool: Pool = pool, sizes: set[int] = sizes) -> float:
            if all(trial.state != "completed" for trial in pool.experiment.trials.values()):
                sizes.add(len(pool.experiment.places))
            return random.Random(1000 * n + t).random()

        pool.train(value, saves=True)
        assert sizes == {8}
        created = pool.said(TrialCreated)
        assert len(created) >= 10
        for event in created:
            found = event.hyperparameters
            assert 1e-4 <= found["lr"] <= 0.1
            assert found["net"]["depth"] in (1, 2, 3)
            assert type(found["net"]["depth"]) is int
            assert found["net"]["name"] == "unet"
            assert 0 <= found["drop"] <= 0.5
            assert ("momentum" in found) is (found["opt"] == "sgd")
            assert 0.1 <= found.get("momentum", 0.5) <= 0.9
            assert found["fix"] == 7
            assert space.meets(found, constraints)
        pool.check_replay()


def test_copies_are_perturbed_or_drawn_anew() -> None:
    pool = pbt(resample_probability=0.0, perturb_factor=0.2)
    round_of(pool, 16, [1.0, 2.0, 3.0, 4.0])
    copy, parent = pool.trial(4).hyperparameters, pool.trial(0).hyperparameters
    ratio = copy["lr"] / parent["lr"]
    assert ratio == pytest.approx(1.2) or ratio == pytest.approx(0.8) or copy["lr"] in (1e-4, 0.1)
    assert abs(copy["net"]["depth"] - parent["net"]["depth"]) <= 1
    assert copy["opt"] == parent["opt"]
    pool = pbt(resample_probability=1.0)
    round_of(pool, 16, [1.0, 2.0, 3.0, 4.0])
    copy, parent = pool.trial(4).hyperparameters, pool.trial(0).hyperparameters
    assert copy["lr"] / parent["lr"] not in (pytest.approx(1.2), pytest.approx(0.8))


def test_a_population_wider_than_the_pool_comes_in_turn_and_tries_all_that_is_listed() -> None:
    points = [{"drop": n / 100} for n in range(6)]
    pool = pbt(population_size=6, max_concurrent_trials=2, starting_points=points,
               truncate_fraction=0.5)  # fmt: skip
    pool.train(lambda n, t: float(n), saves=True)
    listed = [e.hyperparameters["drop"] for e in pool.said(TrialCreated) if e.origin == "listed"]
    assert listed == [point["drop"] for point in points]
    assert pool.said(SearchCompleted)[0].trials > 6


def test_what_a_copy_trains_counts_towards_the_budget() -> None:
    pool = pbt()
    round_of(pool, 16, [1.0, 2.0, 3.0, 4.0])
    assert pool.experiment.units == 64
    pool.report(4, 32, 1.0)
    assert pool.experiment.units == 80


@pytest.mark.parametrize(("fraction", "replaced"), [(0.25, 5), (0.29, 5), (0.35, 7), (0.5, 10)])
def test_the_fraction_is_exact(fraction: float, replaced: int) -> None:
    pool = pbt(population_size=20, truncate_fraction=fraction, max_concurrent_trials=0)
    for n in range(20):
        pool.save(n, 160)
    for n in reversed(range(20)):
        pool.report(n, 16, float(n))
    standing = METHODS["pbt"].standing(pool.experiment, pool.trial(0))
    assert standing.endswith(f"of which the best {20 - replaced} go on")
