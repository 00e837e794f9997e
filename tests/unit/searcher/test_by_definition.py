"""What is kept from decision to decision, against the plain definitions, over random lives."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_searcher.core.methods import METHODS
from shoal_searcher.core.methods.async_halving import cut
from shoal_searcher.core.ranking import rank
from shoal_searcher.core.state import Experiment, Rung

CASES: dict[str, dict[str, Any]] = {
    "async_halving": {"max_trials": 60, "divisor": 2, "num_rungs": 4, "max_concurrent_trials": 6},
    "adaptive_asha": {"max_trials": 60, "divisor": 2, "max_rungs": 4, "max_concurrent_trials": 6},
    "hyperband": {"max_time": 27, "divisor": 3, "max_concurrent_trials": 8},
    "pbt": {"population_size": 9, "rounds": 5, "truncate_fraction": 0.4,
            "max_concurrent_trials": 3, "max_time": 50},
}  # fmt: skip


def order(points: Mapping[int, Sequence[float]]) -> list[int]:
    """Front after front, each found by comparing all with all; last what is no finite number."""

    def beats(a: Sequence[float], b: Sequence[float]) -> bool:
        return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    found: list[int] = []
    for bad in (False, True):
        left = {n: c for n, c in points.items() if any(map(math.isinf, c)) is bad}
        while left:
            front = [n for n in left if not any(beats(c, left[n]) for c in left.values())]
            found += sorted(front, key=lambda n: (list(points[n]), n))
            left = {n: c for n, c in left.items() if n not in front}
    return found


def best(rung: Rung) -> list[int]:
    return [n for n in order(rung.costs) if not any(map(math.isinf, rung.costs[n]))]


def halving(experiment: Experiment, bracket: int, targets: Sequence[int]) -> list[tuple[int, int]]:
    rungs, found = experiment.brackets[bracket].rungs, []
    for at in reversed(range(min(len(targets) - 1, len(rungs)))):
        for n in order(rungs[at].costs)[: cut(len(rungs[at].costs), 2)]:
            trial = experiment.trial(n)
            if trial.waits and trial.rung == at and n in best(rungs[at]):
                found.append((n, targets[at + 1]))
    return found


def hyperband(
    experiment: Experiment, bracket: int, targets: Sequence[int], most: int
) -> list[tuple[int, int]]:
    """A rung is complete when all that can reach it have or are over."""
    rungs = experiment.brackets[bracket].rungs
    entered = [t for t in experiment.trials.values() if t.bracket == bracket]
    if len(entered) < most:
        return []
    found: list[tuple[int, int]] = []
    for at, target in enumerate(targets[1:]):
        if at >= len(rungs) or any(not t.over and t.rung < at for t in entered):
            break
        left = [t for n in best(rungs[at]) if (t := experiment.trial(n)).state not in
                ("failed", "cancelled")]  # fmt: skip
        entered = left[: max(1, most // 3 ** (at + 1))]
        found = [(t.number, target) for t in entered if t.waits and t.rung == at] + found
    return found


def population(experiment: Experiment) -> list[int]:
    """Who waits at a round's end while nobody without slots is behind it."""
    trials = experiment.trials.values()
    found = []
    for at, rung in enumerate(experiment.brackets[0].rungs):
        behind = [t for t in trials if t.placed and t.started_at is None and t.rung < at]
        waits = [t.number for t in trials if t.waits and t.rung == at and not behind]
        found += sorted(waits, key=lambda n: (rung.costs[n][0], n))
    return found


def check(experiment: Experiment) -> None:
    name = experiment.config.searcher.name
    method = METHODS[name]
    plans = method.brackets(experiment)
    for bracket, state in enumerate(experiment.brackets):
        for rung in state.rungs:
            ranks = {n: rank(rung, n) for n in rung.costs}
            assert sorted(ranks, key=ranks.__getitem__) == order(rung.costs)
        got = [
            (experiment.trials[trial_id].number, further)
            for trial_id, further in method.promotable(experiment, bracket)
        ]
        plan = plans[bracket]
        if name == "hyperband":
            assert got == hyperband(experiment, bracket, plan.targets, plan.max_trials)
        elif name == "pbt":
            assert [n for n, _ in got] == population(experiment)
        else:
            assert got == halving(experiment, bracket, plan.targets)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("seed", range(2))
def test_decisions_are_those_of_the_definition(name: str, objectives: int, seed: int) -> None:
    more = [{"metric": f"m{n}"} for n in range(1, objectives)]
    pool = Pool(config(name, objectives=more, max_restarts=0, **CASES[name]))
    rng = random.Random(seed)
    values = [*map(float, range(8)), math.nan]
    for _ in range(300):
        if pool.over:
            return
        check(pool.experiment)
        trial = rng.choice([t for t in pool.experiment.trials.values() if t.holding])
        n, act = trial.number, rng.random()
        if act < 0.1:
            pool.end(n, rng.choice(["failed", "lost", "preempted", "stopped"]))
        elif act < 0.12:
            pool.stop(n)
        elif act < 0.3:
            pool.grant(n, 1.0)
        elif trial.active:
            pool.save(n, pool.targets[f"e-{n}"] * 10)
            result = {f"m{k}": rng.choice(values) for k in range(1, objectives)}
            pool.report(n, pool.targets[f"e-{n}"], rng.choice(values), **result)
        else:
            pool.end(n, "stopped")
