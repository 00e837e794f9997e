"""Constraints and `when`: of draws, of grids, of listed points and of samplers' proposals."""

from typing import Any

import pytest
from unit.searcher.pool import Pool, config

from shoal_contract.events import SearchCompleted, SearchFailed, TrialCreated
from shoal_searcher.core import space
from shoal_searcher.core.messages import Proposals

SPACE: dict[str, Any] = {
    "opt": {"type": "categorical", "vals": ["sgd", "adam"]},
    "lr": {"type": "log", "minval": -4, "maxval": -1, "count": 4},
    "momentum": {"type": "double", "minval": 0.0, "maxval": 0.9, "count": 3,
                 "when": "opt == 'sgd'"},
    "net": {"width": {"type": "int", "minval": 1, "maxval": 8, "count": 8},
            "drop": {"type": "double", "minval": 0.1, "maxval": 0.5, "count": 2,
                     "when": "net.width > 4"}},
}  # fmt: skip
CONSTRAINTS = ["lr * net.width <= 0.2", "not (opt == 'adam' and net.width in [1, 2])"]


def obeys(point: dict[str, Any]) -> None:
    assert ("momentum" in point) is (point["opt"] == "sgd")
    assert ("drop" in point["net"]) is (point["net"]["width"] > 4)
    assert point["lr"] * point["net"]["width"] <= 0.2
    assert point["opt"] == "sgd" or point["net"]["width"] > 2


def created(pool: Pool) -> list[dict[str, Any]]:
    return [event.hyperparameters for event in pool.said(TrialCreated)]


@pytest.mark.parametrize("seed", range(5))
def test_draws_obey(seed: int) -> None:
    for number in range(60):
        obeys(space.sample(SPACE, seed, number, CONSTRAINTS))


def test_a_draw_that_obeys_at_once_is_the_same_without_constraints() -> None:
    plain = [space.sample(SPACE, 3, number) for number in range(50)]
    bound = [space.sample(SPACE, 3, number, CONSTRAINTS) for number in range(50)]
    kept = [a == b for a, b in zip(plain, bound, strict=True)]
    assert any(kept)
    assert not all(kept)


def test_a_grid_has_each_configuration_that_obeys_once() -> None:
    points = [space.grid_point(SPACE, n, CONSTRAINTS)
              for n in range(space.grid_size(SPACE, CONSTRAINTS))]  # fmt: skip
    for point in points:
        obeys(point)
    assert len({repr(p) for p in points}) == len(points)
    expected = 0
    for opt, momenta in (("sgd", 3), ("adam", 1)):
        for lr in (1e-4, 1e-3, 1e-2, 1e-1):
            for width in range(1, 9):
                if lr * width <= 0.2 and not (opt == "adam" and width < 3):
                    expected += momenta * (2 if width > 4 else 1)
    assert len(points) == expected


def test_a_grid_search_tries_exactly_these() -> None:
    pool = Pool(config("grid", hyperparameters=SPACE, constraints=CONSTRAINTS))
    pool.train(lambda n, t: float(n))
    found = created(pool)
    assert len(found) == space.grid_size(SPACE, CONSTRAINTS)
    assert pool.said(SearchCompleted)[0].trials == len(found)
    for point in found:
        obeys(point)


@pytest.mark.parametrize("name", ["random", "async_halving", "adaptive_asha", "hyperband", "pbt"])
def test_every_trial_of_a_search_obeys(name: str) -> None:
    sizes: dict[str, Any] = {"max_trials": 20}
    if name == "hyperband":
        sizes = {"max_time": 9, "divisor": 3}
    if name == "pbt":
        sizes = {"population_size": 8, "rounds": 4, "truncate_fraction": 0.5}
    pool = Pool(config(name, hyperparameters=SPACE, constraints=CONSTRAINTS, **sizes))
    pool.train(lambda n, t: float((n * 7 + t) % 13), saves=True)
    for point in created(pool):
        obeys(point)


def test_a_proposal_that_breaks_a_constraint_is_replaced_and_used_up() -> None:
    pool = Pool()
    found = config("random", hyperparameters=SPACE, constraints=CONSTRAINTS, sampler="nsgaii",
                   max_trials=4, max_concurrent_trials=1)  # fmt: skip
    pool.submit(found, answer=False)
    good = {"opt": "adam", "lr": 0.001, "momentum": 0.3, "net.width": 3, "net.drop": 0.2}
    bad = good | {"net.width": 1}
    pool.tell(
        Proposals(experiment_id="e", ask=0, known=0, proposals=[bad, good, good, good]),
        answer=False,
    )
    for n in range(2):
        pool.report(n, 64, 1.0)
        pool.end(n, "stopped")
    _, first, second = created(pool)
    obeys(first)
    assert [e.origin for e in pool.said(TrialCreated)] == ["random", "nsgaii", "nsgaii"]
    assert len(pool.experiment.proposals) == 2
    assert second == {"opt": "adam", "lr": 0.001, "net": {"width": 3}}


def test_a_point_of_a_sequence_that_breaks_a_constraint_gives_way_to_a_draw() -> None:
    found = config("random", hyperparameters=SPACE, constraints=CONSTRAINTS, sampler="qmc",
                   max_trials=40)  # fmt: skip
    pool = Pool(found)
    pool.train(lambda n, t: float(n))
    for point in created(pool):
        obeys(point)
    assert {e.origin for e in pool.said(TrialCreated)} == {"qmc"}
    drawn = [space.sample(SPACE, found.seed, n, CONSTRAINTS) for n in range(40)]
    assert 0 < sum(point == drawn[n] for n, point in enumerate(created(pool))) < 40


def test_listed_points_come_first_and_what_they_leave_out_is_drawn() -> None:
    points = [{"opt": "sgd", "net": {"width": 6}}, {"opt": "adam", "lr": 0.001}]
    pool = Pool(config("random", hyperparameters=SPACE, starting_points=points, max_trials=4))
    first, second, third, _ = created(pool)
    assert [e.origin for e in pool.said(TrialCreated)] == ["listed", "listed", "random", "random"]
    assert (first["opt"], first["net"]["width"]) == ("sgd", 6)
    assert 1e-4 <= first["lr"] <= 0.1
    assert (second["opt"], second["lr"]) == ("adam", 0.001)
    assert "momentum" not in second
    assert third == space.sample(SPACE, 0, 2)


@pytest.mark.parametrize("name", ["async_halving", "adaptive_asha", "hyperband", "pbt"])
def test_every_sampled_method_begins_with_what_is_listed(name: str) -> None:
    sizes = {"hyperband": {"max_time": 4, "divisor": 2}, "pbt": {"population_size": 4}}
    points = [{"lr": 0.5}, {"lr": 0.25}]
    pool = Pool(config(name, starting_points=points, **sizes.get(name, {"max_trials": 8})))
    assert [p["lr"] for p in created(pool)[:2]] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "hyperparameters", "constraints", "said"),
    [
        ("random", SPACE, ["lr > 5"], "constraints: no configuration of 1000 meets"),
        ("random", SPACE, ["lr > "], "constraints: 'lr > ' cannot be read"),
        ("grid", SPACE, ["lr > 5"], "none of the grid's"),
        ("grid", {n: {"type": "int", "minval": 0, "maxval": 999} for n in "ab"}, ["a > b"],
         "a grid of 1000000 points is too large"),
    ],
)  # fmt: skip
def test_what_cannot_be_met_fails_the_experiment_with_a_sentence(
    name: str, hyperparameters: Any, constraints: list[str], said: str
) -> None:
    pool = Pool()
    sizes = {"max_trials": 3} if name == "random" else {}
    found = config(name, hyperparameters=hyperparameters, constraints=constraints, **sizes)
    assert pool.submit(found) == ["search.accepted", "search.failed"]
    assert said in pool.said(SearchFailed)[0].reason


def test_a_grid_is_judged_by_its_points_not_by_draws() -> None:
    """No draw hits one half exactly; a point of the grid is it."""
    found = {"x": {"type": "double", "minval": 0, "maxval": 1, "count": 3}}
    pool = Pool(config("grid", hyperparameters=found, constraints=["x == 0.5"]))
    assert created(pool) == [{"x": 0.5}]


@pytest.mark.parametrize(
    "constraint", ["2 ** n < 5", "'a' * n == 'b'", "k[n] == 1", "1 / (n - n) > 1", "log(-n) > 0"]
)
def test_what_cannot_be_computed_of_some_draw_is_no_constraint(constraint: str) -> None:
    """Nothing that a person writes may stop the searcher for everybody."""
    found = {"n": {"type": "int", "minval": 1, "maxval": 9 * 10**6},
             "k": {"type": "const", "val": [1, 2]}}  # fmt: skip
    pool = Pool(config("random", hyperparameters=found, constraints=[constraint], max_trials=20,
                       max_concurrent_trials=0))  # fmt: skip
    assert len(created(pool)) == 20
