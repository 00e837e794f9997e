"""Drawing and enumerating configurations."""

from itertools import product

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import SearchFailed, TrialCreated
from shoal_searcher.core import space

NESTED = {
    "lr": {"type": "log", "base": 10, "minval": -4, "maxval": -1, "count": 4},
    "net": {"depth": {"type": "int", "minval": 1, "maxval": 3}, "name": "unet"},
    "drop": {"type": "double", "minval": 0.0, "maxval": 1.0, "count": 3},
    "act": {"type": "categorical", "vals": ["relu", None, 3]},
    "fix": {"type": "const", "val": [1, 2]},
}


def test_draws_lie_in_their_ranges_and_depend_on_the_seed_alone() -> None:
    for number in range(200):
        seed = space.trial_seed(7, number)
        found = space.sample(NESTED, seed)
        assert found == space.sample(NESTED, seed)
        assert 1e-4 <= found["lr"] <= 0.1
        assert found["net"]["depth"] in (1, 2, 3)
        assert found["net"]["name"] == "unet"
        assert 0 <= found["drop"] <= 1
        assert found["act"] in ("relu", None, 3)
        assert found["fix"] == [1, 2]
    assert len({space.trial_seed(7, n) for n in range(1000)}) == 1000


def test_the_grid_has_each_combination_once_the_last_changing_fastest() -> None:
    size = space.grid_size(NESTED)
    assert size == 4 * 3 * 3 * 3
    points = [space.grid_point(NESTED, n) for n in range(size)]
    assert list(points[0]) == list(NESTED)
    found = [(p["lr"], p["net"]["depth"], p["drop"], p["act"]) for p in points]
    lrs = [10.0**x for x in (-4, -3, -2, -1)]
    assert found == list(product(lrs, (1, 2, 3), (0.0, 0.5, 1.0), ("relu", None, 3)))


@pytest.mark.parametrize(
    ("low", "high", "count", "points"),
    [(0, 10, 3, [0, 5, 10]), (0, 2, 9, [0, 1, 2]), (1, 4, 3, [1, 3, 4]), (0, 5, 1, [2]),
     (10**30, 10**30 + 1, None, [10**30, 10**30 + 1])],
)  # fmt: skip
def test_whole_numbers_in_a_grid(low: int, high: int, count: int, points: list[int]) -> None:
    found = {"x": {"type": "int", "minval": low, "maxval": high, "count": count}}
    assert [space.grid_point(found, n)["x"] for n in range(space.grid_size(found))] == points


def test_a_huge_grid_is_never_listed() -> None:
    found = {name: {"type": "int", "minval": 0, "maxval": 10**9} for name in "ab"}
    assert space.grid_point(found, space.grid_size(found) - 1) == {"a": 10**9, "b": 10**9}


def test_an_empty_space_has_one_point() -> None:
    assert space.grid_size({}) == 1
    assert space.grid_point({}, 0) == {}


@pytest.mark.parametrize(
    "bad",
    [
        {"x": {"type": "log", "minval": 0, "maxval": 400}},
        {"x": {"y": {"type": "int", "minval": 3, "maxval": 1}}},
        {"x": {"type": "double", "minval": -1.7e308, "maxval": 1.7e308}},
    ],
)
def test_a_space_that_cannot_be_drawn_from_ends_the_experiment(bad: dict[str, object]) -> None:
    pool = Pool()
    assert pool.submit(config(hyperparameters=bad)) == ["search.accepted", "search.failed"]
    assert "hyperparameters.x" in pool.said(SearchFailed)[0].reason


def test_proposals_do_not_depend_on_the_order_of_results() -> None:
    made = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        pool = Pool(config("random", max_trials=12, max_concurrent_trials=4, seed=5))
        pool.train(lambda n, t: n, order + list(range(4, 12)))
        made.append([(e.number, e.hyperparameters, e.seed) for e in pool.said(TrialCreated)])
    assert made[0] == made[1]
    assert len(made[0]) == 12
