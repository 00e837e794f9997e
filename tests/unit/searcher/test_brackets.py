"""Determined's arithmetic, worked out by hand from its rules, and adaptive ASHA's brackets at work.

https://docs.determined.ai/latest/model-dev-guide/hyperparameter/search-methods/hp-adaptive-asha.html
"""

from collections import Counter
from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import SearchAccepted, SearchCompleted, TrialCreated
from shoal_searcher.core.evolve import begin
from shoal_searcher.core.methods import METHODS, Bracket


def brackets(name: str, **changes: Any) -> list[Bracket]:
    accepted = SearchAccepted(
        experiment_id="e", config=config(name, **changes), bundle=None, storage_url="file:///s"
    )
    return list(METHODS[name].brackets(begin(accepted)))


ADAPTIVE = [
    # 16, 4: 3 rungs each. Weights 4^2/3, 4/2, 4^0/1: 16 trials are 11.6 + 4.4, or 10.2, 3.8, 1.9
    ({"max_time": 16, "max_trials": 16, "mode": "aggressive"},
     [((1, 4, 16), 16, 16)]),
    ({"max_time": 16, "max_trials": 16},
     [((1, 4, 16), 12, 8), ((4, 16), 4, 8)]),
    ({"max_time": 16, "max_trials": 16, "mode": "conservative"},
     [((1, 4, 16), 12, 6), ((4, 16), 3, 5), ((16,), 1, 5)]),
    ({"max_time": 16, "max_trials": 16, "max_concurrent_trials": 0},
     [((1, 4, 16), 12, 4), ((4, 16), 4, 4)]),
    ({"max_time": 16, "max_trials": 16, "mode": "conservative", "max_concurrent_trials": 0},
     [((1, 4, 16), 12, 4), ((4, 16), 3, 4), ((16,), 1, 4)]),
    # log 64 / log 4 = 3; weights 16, 5.33, 2: 685.7, 228.6, 85.7
    ({"max_time": 64, "max_trials": 1000},
     [((1, 4, 16, 64), 687, 6), ((4, 16, 64), 228, 5), ((16, 64), 85, 5)]),
    ({"max_time": 64, "max_trials": 1000, "max_concurrent_trials": 0},
     [((1, 4, 16, 64), 687, 85), ((4, 16, 64), 228, 85), ((16, 64), 85, 85)]),
    # log 81 / log 3 = 4, log 100 / log 3 = 4.2; weights 16.2, 6.75, 3: 62.4, 26.0, 11.6
    ({"max_time": 81, "max_trials": 100, "divisor": 3, "max_concurrent_trials": 10},
     [((1, 3, 9, 27, 81), 63, 4), ((3, 9, 27, 81), 26, 3), ((9, 27, 81), 11, 3)]),
    # log 1000 / log 3 = 6.3, log 16 / log 3 = 2.5; weights 3, 1.5: 10.7, 5.3
    ({"max_time": 1000, "max_trials": 16, "divisor": 3},
     [((111, 333, 1000), 11, 8), ((333, 1000), 5, 8)]),
    # log 1000 / log 2 = 9.97, max_rungs 5; weights 3.2, 2, 1.33: 489.8, 306.1, 204.1
    ({"max_time": 1000, "max_trials": 1000, "divisor": 2, "max_concurrent_trials": 7},
     [((62, 125, 250, 500, 1000), 490, 3), ((125, 250, 500, 1000), 306, 2),
      ((250, 500, 1000), 204, 2)]),
    # weights 51.2, 28.4, 16, 9.14, 5.33, 3.2: 451.8, 251.0, 141.2, 80.7, 47.1, 28.2
    ({"max_time": 1000, "max_trials": 1000, "divisor": 2, "max_rungs": 10,
      "max_concurrent_trials": 0},
     [((1, 3, 7, 15, 31, 62, 125, 250, 500, 1000), 453, 28),
      ((3, 7, 15, 31, 62, 125, 250, 500, 1000), 251, 28),
      ((7, 15, 31, 62, 125, 250, 500, 1000), 141, 28), ((15, 31, 62, 125, 250, 500, 1000), 80, 28),
      ((31, 62, 125, 250, 500, 1000), 47, 28), ((62, 125, 250, 500, 1000), 28, 28)]),
    # log 16 / log 2 = 4; weights 3.2, 2, 1.33, 1, 1: 37.5, 23.4, 15.6, 11.7, 11.7
    ({"max_time": 16, "max_trials": 100, "divisor": 2, "mode": "conservative"},
     [((1, 2, 4, 8, 16), 40, 4), ((2, 4, 8, 16), 23, 3), ((4, 8, 16), 15, 3), ((8, 16), 11, 3),
      ((16,), 11, 3)]),
    # log 4 / log 4 = 1; weights 2, 1: 2.7, 1.3
    ({"max_time": 64, "max_trials": 4, "mode": "conservative", "max_concurrent_trials": 0},
     [((16, 64), 3, 4), ((64,), 1, 4)]),
    ({"max_time": 64, "max_trials": 1}, [((64,), 1, 16)]),
    ({"max_time": 64, "max_trials": 1, "mode": "conservative", "max_concurrent_trials": 0},
     [((64,), 1, 4)]),
    ({"max_time": 1, "max_trials": 100, "max_concurrent_trials": 3}, [((1,), 100, 3)]),
    # weights 16, 2: 17.8, 2.2
    ({"max_time": 64, "max_trials": 20, "bracket_rungs": [2, 4], "max_concurrent_trials": 5},
     [((1, 4, 16, 64), 18, 3), ((16, 64), 2, 2)]),
    ({"max_time": 64, "max_trials": 20, "bracket_rungs": [1], "mode": "conservative"},
     [((64,), 20, 16)]),
    # weights 5.33, 2 for few: 1.45 -> 1, 0.55 -> 1
    ({"max_time": 16, "max_trials": 2, "bracket_rungs": [3, 2]},
     [((1, 4, 16), 1, 8), ((4, 16), 1, 8)]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), ADAPTIVE)
def test_adaptive_ashas_brackets(
    changes: dict[str, Any], expected: list[tuple[tuple[int, ...], int, int]]
) -> None:
    found = [
        (b.targets, b.max_trials, b.max_concurrent) for b in brackets("adaptive_asha", **changes)
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("max_time", "max_trials", "divisor", "num_rungs", "targets"),
    [
        (16, 16, 4, 5, (1, 4, 16)),
        (16, 1, 4, 5, (16,)),
        (16, 1000, 4, 2, (4, 16)),
        (64, 16, 4, 5, (4, 16, 64)),
        (64, 100, 4, 5, (1, 4, 16, 64)),
        (64, 1000, 2, 5, (4, 8, 16, 32, 64)),
        (64, 1000, 2, 9, (1, 2, 4, 8, 16, 32, 64)),
        (81, 100, 3, 5, (1, 3, 9, 27, 81)),
        (81, 16, 3, 5, (9, 27, 81)),
        (1000, 16, 3, 5, (111, 333, 1000)),
        (1000, 1000, 2, 5, (62, 125, 250, 500, 1000)),
        (1000, 1000, 4, 5, (3, 15, 62, 250, 1000)),
    ],
)
def test_async_halvings_rungs(
    max_time: int, max_trials: int, divisor: float, num_rungs: int, targets: tuple[int, ...]
) -> None:
    found = brackets("async_halving", max_time=max_time, max_trials=max_trials, divisor=divisor,
                     num_rungs=num_rungs, max_concurrent_trials=7)  # fmt: skip
    assert found == [Bracket(targets, max_trials, 7)]


def adaptive(**changes: Any) -> Pool:
    given = {"max_time": 16, "max_trials": 16, "divisor": 4, "max_concurrent_trials": 6}
    return Pool(config("adaptive_asha", **(given | changes)))


def flying(pool: Pool) -> Counter[int]:
    return Counter(pool.trial(n).bracket for n in pool.in_state("wanted"))


def test_each_bracket_gets_its_share_of_the_places() -> None:
    pool = adaptive()
    assert flying(pool) == {0: 3, 1: 3}
    assert [pool.targets[f"e-{n}"] for n in range(6)] == [1, 1, 1, 4, 4, 4]


def test_what_a_bracket_has_no_use_for_goes_to_the_other() -> None:
    assert flying(adaptive(max_concurrent_trials=16)) == {0: 12, 1: 4}
    pool = adaptive()
    for n in (3, 4, 5, 6):  # the whole second bracket reaches its first rung; one goes on
        target = pool.targets[f"e-{n}"]
        if target == 4:
            pool.report(n, 4, 1.0 + n)
            if pool.trial(n).state == "paused":
                pool.end(n, "stopped")
    assert len(pool.in_state("wanted")) == 6
    assert flying(pool)[0] > 3


def test_a_bracket_compares_its_own_trials_only() -> None:
    pool = adaptive(max_concurrent_trials=8)
    assert flying(pool) == {0: 4, 1: 4}
    for n in range(3):
        pool.report(n, 1, 10.0)
    assert pool.report(3, 1, 9.0) == ["trial.measured", "trial.extended"]  # 1 of 4
    for n in range(4, 7):
        pool.report(n, 4, 2.0)
    assert "trial.paused" in pool.report(7, 4, 3.0)


@pytest.mark.parametrize("mode", ["aggressive", "standard", "conservative"])
def test_all_brackets_are_filled_as_planned_and_the_search_ends(mode: str) -> None:
    pool = adaptive(mode=mode, max_trials=30)
    plans = brackets("adaptive_asha", max_time=16, max_trials=30, mode=mode)
    pool.train(lambda n, t: (n - 7) ** 2 + 1 / t)
    created = Counter(event.bracket for event in pool.said(TrialCreated))
    assert created == {n: plan.max_trials for n, plan in enumerate(plans)}
    assert created.total() == pool.said(SearchCompleted)[0].trials == 30
    for bracket, plan in enumerate(plans):
        rungs = pool_rungs(pool, bracket)
        assert set(rungs) == set(plan.targets[: len(rungs)])
    pool.check_replay()


def pool_rungs(pool: Pool, bracket: int) -> list[int]:
    """Where a bracket's trials were judged."""
    members = {e.trial_id for e in pool.said(TrialCreated) if e.bracket == bracket}
    times = {
        e.time for e in pool.events
        if e.type == "trial.measured" and e.trial_id in members  # type: ignore[attr-defined]
    }  # fmt: skip
    return sorted(times)
