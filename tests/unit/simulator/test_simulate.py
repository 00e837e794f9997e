"""The real searcher over small tables: units, seconds and what is reached, worked out by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
from unit.simulator.tables import ROWS, search, table

from shoal_contract.parse import parse_experiment
from shoal_simulator.curves import Curves, CurvesError
from shoal_simulator.search import Result, simulate

ROOT = Path(__file__).parents[3]


def seen(result: Result) -> list[tuple[float, int, float]]:
    return [(point.seconds, point.units, point.best) for point in result.points]


def test_all_in_full_on_one_slot() -> None:
    """4 of 1 s, 4 of 2 s, 4 of 1 s, 4 of 3 s, one after the other."""
    assert seen(simulate(search(), table(), workers=1)) == [
        (1.0, 1, 9.0), (2.0, 2, 8.0), (3.0, 3, 7.0), (4.0, 4, 6.0),
        (6.0, 5, 4.0), (8.0, 6, 3.0), (10.0, 7, 2.0), (12.0, 8, 1.0),
        (28.0, 16, 0.5),
        (28.0, 16, 0.5),
    ]  # fmt: skip


def test_all_in_full_side_by_side() -> None:
    result = simulate(search(), table(), workers=4)
    assert result.trials == 4
    assert seen(result)[-1] == (12.0, 16, 0.5)
    assert result.reached(1.0, True) is not None
    assert (result.points[-3].seconds, result.points[-3].best) == (8.0, 1.0)


def test_two_slots_take_who_waits() -> None:
    """x=0 until 4, x=1 until 8; x=2 from 4 until 8; x=3 from 8 until 20."""
    result = simulate(search(), table(), workers=2)
    assert seen(result)[-1] == (20.0, 16, 0.5)


def test_no_more_in_the_air_than_the_search_allows() -> None:
    wide = simulate(search(max_concurrent_trials=1), table(), workers=4)
    assert seen(wide) == seen(simulate(search(), table(), workers=1))


def test_when_a_target_was_reached() -> None:
    result = simulate(search(), table(), workers=1)
    at = result.reached(3.0, True)
    assert at is not None
    assert (at.seconds, at.units) == (8.0, 6)
    assert result.reached(0.4, True) is None
    assert result.reached(9.5, False) is None


def test_until_ends_as_soon_as_it_is_reached() -> None:
    result = simulate(search(), table(), workers=1, until=3.0)
    assert seen(result)[-1] == (8.0, 6, 3.0)


def test_larger_is_better() -> None:
    result = simulate(search(smaller_is_better=False), table(), workers=1, until=9.0)
    assert seen(result) == [(1.0, 1, 9.0), (1.0, 1, 9.0)]


def test_halving_stops_at_the_rungs_and_goes_on_where_it_was() -> None:
    """Four trials to 1 (5, 9, 4 or 8), the best to 2, the same to 4, in the order of draws."""
    found = search("async_halving", max_trials=4, divisor=2, num_rungs=2, max_concurrent_trials=1,
                   hyperparameters={"x": {"type": "categorical", "vals": [1]}})  # fmt: skip
    result = simulate(found, table(), workers=1)
    # all equal: 2 units each; of 4 two are promoted, by number, for 2 more
    assert (result.points[-1].units, result.points[-1].seconds) == (4 * 2 + 2 * 2, 24.0)
    assert result.trials == 4


def test_stopped_ones_train_no_further() -> None:
    found = search("async_halving", max_trials=4, divisor=4, num_rungs=2, stop_once=True,
                   max_concurrent_trials=1,
                   hyperparameters={"x": {"type": "categorical", "vals": [2]}})  # fmt: skip
    result = simulate(found, table(), workers=1)
    assert (result.points[-1].units, result.points[-1].seconds) == (4 + 3 * 1, 7.0)


@pytest.mark.parametrize("first", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_becomes_the_best(first: float) -> None:
    rows = [{**ROWS[0], "loss": [first, first, first, 7.0]}, *ROWS[1:]]
    result = simulate(search(), table(rows), workers=1)
    assert seen(result)[0] == (4.0, 4, 7.0)
    assert seen(result)[-1] == (28.0, 16, 0.5)


def test_a_budget_ends_it() -> None:
    result = simulate(search(budget={"units": 6}), table(), workers=1)
    assert seen(result)[-1] == (8.0, 6, 3.0)
    hours = simulate(search(budget={"hours": 10 / 3600}), table(), workers=1)
    assert seen(hours)[-1][:2] == (10.0, 7)


METHODS: list[tuple[str, dict[str, Any]]] = [
    ("single", {}),
    ("random", {"max_trials": 6}),
    ("random", {"max_trials": 12, "sampler": {"name": "tpe", "startup_trials": 3}}),
    ("random", {"max_trials": 12, "sampler": "nsgaii"}),
    ("async_halving", {"max_trials": 12, "divisor": 2}),
    ("adaptive_asha", {"max_trials": 12, "divisor": 2}),
    ("hyperband", {"divisor": 2}),
]


@pytest.mark.parametrize(("name", "changes"), METHODS)
def test_the_same_seed_is_the_same_search(name: str, changes: dict[str, Any]) -> None:
    runs = [simulate(search(name, **changes), table(), workers=3, seed=4) for _ in range(2)]
    assert seen(runs[0]) == seen(runs[1])
    assert runs[0].trials == runs[1].trials >= 1
    assert runs[0].decisions == runs[1].decisions


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (search(max_time=5), "max_time is 5; the curves end at 4"),
        (
            search("pbt", population_size=4),
            "pbt cannot be simulated: its copies",
        ),
        (search("custom"), "custom cannot be simulated: your program decides"),
        (search(metric="accuracy"), "the curves have no metric 'accuracy'"),
        (search("random", max_trials=2, objectives=[{"metric": "size"}]), "no metric 'size'"),
        (search("random", max_trials=2, warm_start=["y"]), "warm_start cannot be simulated: the"),
        (search(source_trial_id="y-0"), "source_trial_id cannot be simulated: curves are recorded"),
        (search("random", max_trials=2, hyperparameters={}), "which the search leaves out"),
        (search(hyperparameters={"x": {"type": "categorical", "vals": [9]}}), "was not recorded"),
        (search(constraints=["x > 9"]), "none of the grid's 4 points"),
    ],
)
def test_what_cannot_be_simulated(found: Any, said: str) -> None:
    with pytest.raises(CurvesError) as caught:
        simulate(found, table(), workers=2)
    assert said in str(caught.value)


def test_the_benchmarks_curves() -> None:
    import yaml

    curves = Curves.load(ROOT / "benchmarks/curves/digits-cnn.json.gz")
    data = yaml.safe_load((ROOT / "benchmarks/curves/experiment.yaml").read_text())
    data["searcher"] |= {"name": "async_halving", "max_trials": 60, "divisor": 3}
    found = parse_experiment(data)
    result = simulate(found, curves, workers=8, seed=1)
    best = curves.best("accuracy", False)
    assert result.trials == 60
    assert best * 0.97 <= result.points[-1].best <= 1.0
    assert result.points[-1].units < 60 * 81 / 4
    rising = [point.best for point in result.points]
    assert rising == sorted(rising)
