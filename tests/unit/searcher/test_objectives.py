"""Several objectives: fronts, ranking by them, and the front that a search ends with."""

import math
import random
from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import SearchCancelled, SearchCompleted, TrialMeasured, TrialRequested
from shoal_searcher.core.fronts import Fronts, first_front, fronts, insert, ranked
from shoal_searcher.core.ranking import best_first, rank
from shoal_searcher.core.state import Rung

INF = math.inf


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ({}, []),
        ({4: (1.0, 1.0)}, [[4]]),
        ({1: (0.0, 2.0), 2: (1.0, 1.0), 3: (2.0, 0.0)}, [[1, 2, 3]]),
        ({1: (0.0, 0.0), 2: (1.0, 1.0), 3: (2.0, 2.0)}, [[1], [2], [3]]),
        ({1: (2.0, 2.0), 2: (0.0, 3.0), 3: (1.0, 1.0), 4: (3.0, 0.0)}, [[2, 3, 4], [1]]),
        ({1: (1.0, 1.0), 2: (1.0, 1.0), 3: (1.0, 2.0)}, [[1, 2], [3]]),  # equals stay together
        ({1: (0.0, 1.0, 1.0), 2: (0.0, 1.0, 0.0), 3: (1.0, 0.0, 5.0)}, [[2, 3], [1]]),
        ({1: (INF, 0.0), 2: (0.0, 1.0)}, [[2], [1]]),  # no number loses
    ],
)
def test_fronts(points: dict[int, tuple[float, ...]], expected: list[list[int]]) -> None:
    assert fronts(points) == expected


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("objectives", [2, 3])
def test_fronts_are_those_of_the_definition(seed: int, objectives: int) -> None:
    rng = random.Random(seed)
    points = {n: tuple(float(rng.randrange(6)) for _ in range(objectives)) for n in range(40)}

    def beats(a: int, b: int) -> bool:
        pairs = list(zip(points[a], points[b], strict=True))
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    left, expected = set(points), []
    while left:
        front = {n for n in left if not any(beats(m, n) for m in left)}
        expected.append(front)
        left -= front
    assert [set(front) for front in fronts(points)] == expected
    assert set(first_front(points)) == expected[0]
    one_by_one: Fronts = []
    for n in points:  # in no order
        insert(one_by_one, ranked(points[n], n))
    assert [[n for _, _, n in front] for front in one_by_one] == fronts(points)


def test_what_is_no_number_in_some_objective_is_ranked_last() -> None:
    costs = {0: [INF, 0.0], 1: [0.0, INF], 2: [5.0, 5.0], 3: [4.0, 6.0], 4: [6.0, 6.0]}
    rung = Rung(costs=costs, order=sorted((c[0], n) for n, c in costs.items()))
    for n, found in costs.items():
        insert(rung.fronts, ranked(found, n))
    assert [rank(rung, n) for n in (3, 2, 4)] == [1, 2, 3]
    assert {rank(rung, 0), rank(rung, 1)} == {4, 5}
    assert list(best_first(rung)) == [3, 2, 4]


def two(name: str = "random", **changes: Any) -> Pool:
    """Less loss, more speed."""
    given = {"objectives": [{"metric": "speed", "smaller_is_better": False}]}
    return Pool(config(name, **(given | changes)))


def test_a_search_ends_with_its_front() -> None:
    pool = two(max_trials=5)
    for n, (loss, speed) in enumerate([(1.0, 1.0), (2.0, 5.0), (2.0, 4.0), (3.0, 9.0), (4.0, 2.0)]):
        pool.report(n, 10, loss + 1, speed=0.0)  # only the last result is a trial's place
        pool.save(n, 640)
        assert pool.report(n, 64, loss, speed=speed) == ["trial.measured", "trial.completed"]
        pool.end(n, "stopped")
    done = pool.said(SearchCompleted)[0]
    assert [(t.trial_id, t.metrics) for t in done.front] == [
        ("e-0", {"loss": 1.0, "speed": 1.0}),
        ("e-1", {"loss": 2.0, "speed": 5.0}),
        ("e-3", {"loss": 3.0, "speed": 9.0}),
    ]
    assert [t.checkpoint.step for t in done.front] == [640, 640, 640]
    assert done.best.trial_id == "e-0"
    pool.check_replay()


def test_one_objective_has_no_front() -> None:
    pool = Pool(config())
    pool.report(0, 64, 1.0)
    pool.end(0, "stopped")
    assert pool.said(SearchCompleted)[0].front == []


def test_a_cancelled_search_tells_its_front_so_far() -> None:
    pool = two(max_trials=2)
    pool.report(0, 10, 1.0, speed=1.0)
    pool.ask("cancel")
    assert [t.trial_id for t in pool.said(SearchCancelled)[0].front] == ["e-0"]


@pytest.mark.parametrize("missing", [{}, {"speed": math.nan}, {"speed": math.inf}])
def test_a_missing_objective_keeps_a_trial_out_of_the_front(missing: dict[str, float]) -> None:
    pool = two(max_trials=2)
    pool.report(0, 64, 0.0, **missing)
    assert pool.said(TrialMeasured)[0].objectives == [None]
    pool.report(1, 64, 5.0, speed=1.0)
    for n in range(2):
        pool.end(n, "stopped")
    assert [t.trial_id for t in pool.said(SearchCompleted)[0].front] == ["e-1"]
    pool.check_replay()


def on(pool: Pool) -> list[int]:
    """Who went on, after a pause or at once."""
    again = {int(e.trial_id[2:]) for e in pool.said(TrialRequested) if e.attempt > 1}
    extended = {int(e.trial_id[2:]) for e in pool.events if e.type == "trial.extended"}  # type: ignore[attr-defined]
    return sorted(again | extended)


RESULTS = [(0.0, 0.0), (5.0, 9.0), (1.0, 0.5), (6.0, 1.0)]
"""Of which the first, the second and the third are a front, and the fourth is none of it."""


def test_halving_promotes_by_fronts() -> None:
    pool = two("async_halving", max_trials=4, divisor=2, num_rungs=2, max_concurrent_trials=4)
    for n, (loss, speed) in enumerate([(3.0, 9.0), (1.0, 5.0), (1.5, 4.0), (4.0, 5.0)]):
        pool.report(n, 32, loss, speed=speed)
        if pool.trial(n).state == "paused":
            pool.end(n, "stopped")
    assert on(pool) == [0, 1]  # the third has less loss than the first, and is beaten by the second


def test_hyperband_promotes_by_fronts() -> None:
    pool = two("hyperband", max_time=4, divisor=2, max_concurrent_trials=0)
    for n, (loss, speed) in enumerate([(3.0, 9.0), (1.0, 5.0), (1.5, 4.0), (4.0, 5.0)]):
        pool.report(n, 1, loss, speed=speed)
        pool.end(n, "stopped")
    assert on(pool) == [0, 1]


def test_a_population_copies_from_the_front() -> None:
    pool = two("pbt", population_size=4, rounds=2, truncate_fraction=0.5)
    for n in range(4):
        pool.grant(n, 0.0)
    for n, (loss, speed) in enumerate([(3.0, 9.0), (1.0, 5.0), (1.5, 4.0), (4.0, 5.0)]):
        pool.save(n, 320)
        pool.report(n, 32, loss, speed=speed)
    parents = {e.parent for e in pool.events if e.type == "trial.created" and e.parent}  # type: ignore[attr-defined]
    assert parents <= {"e-0", "e-1"}
    assert pool.trials["e-0"] == "wanted"
    assert pool.trials["e-3"] == "stopped"


@pytest.mark.parametrize("name", ["async_halving", "hyperband"])
def test_a_missing_objective_is_never_promoted(name: str) -> None:
    sizes: dict[str, Any] = (
        {"max_trials": 4, "num_rungs": 2} if name == "async_halving" else {"max_time": 4}
    )
    pool = two(name, divisor=2, max_concurrent_trials=0, **sizes)
    target = pool.targets["e-0"]
    assert "trial.stopped" in pool.report(0, target, -9.0)
    for n in range(1, 4):
        pool.report(n, target, float(n), speed=1.0)
        pool.end(n, "stopped")
    assert on(pool) == [1, 2]
