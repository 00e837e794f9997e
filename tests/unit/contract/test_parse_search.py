"""The `searcher` section of a file, ranges with conditions, constraints and starting points."""

from typing import Any

import pytest
from unit.contract.test_parse import a_file, searcher

from shoal_contract.parse import ConfigError, parse_experiment

LEAST: dict[str, dict[str, Any]] = {
    "single": {},
    "random": {"max_trials": 4},
    "grid": {},
    "async_halving": {"max_trials": 4},
    "adaptive_asha": {"max_trials": 4},
    "hyperband": {},
    "pbt": {"population_size": 4},
    "custom": {},
}
GRID = {"x": {"type": "categorical", "vals": [1, 2]}}
SPACE = {
    "opt": {"type": "categorical", "vals": ["sgd", "adam"]},
    "net": {"width": {"type": "int", "minval": 1, "maxval": 8}},
}


RANGES = {
    "lr": {"type": "log", "minval": -4, "maxval": -1},
    "momentum": {"type": "double", "minval": 0.5, "maxval": 0.99},
    "width": {"type": "int", "minval": 2, "maxval": 9},
    "opt": {"type": "categorical", "vals": ["sgd", None, 3]},
    "fixed": 1,
}
OUTSIDE: list[tuple[dict[str, Any], str]] = [
    ({"lr": 30, "width": 2}, "lr is 30, outside of its range, 10^-4 to 10^-1"),
    ({"lr": "1e-3"}, "lr is '1e-3', outside of its range"),
    ({"lr": 0}, "lr is 0, outside"),
    ({"momentum": 7}, "momentum is 7, outside of its range, 0.5 to 0.99"),
    ({"momentum": True}, "momentum is True, outside"),
    ({"width": 10}, "width is 10, outside of its range, 2 to 9"),
    ({"width": 2.5}, "width is 2.5, outside"),
    ({"opt": "adam"}, "opt is 'adam', which is none of 'sgd', None, 3"),
]


def of(name: str, **changes: Any) -> dict[str, Any]:
    section = {"name": name, "metric": "loss", "max_time": 10, **LEAST[name], **changes}
    return a_file(searcher=section, hyperparameters=GRID)


@pytest.mark.parametrize("name", list(LEAST))
def test_the_least_that_each_method_needs(name: str) -> None:
    found = parse_experiment(of(name)).searcher
    assert found.name == name
    assert found.directions == [("loss", True)]


@pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name, fields in LEAST.items() for field in [*fields, "metric", "max_time"]],
)
def test_what_is_missing_is_named(name: str, field: str) -> None:
    data = of(name)
    del data["searcher"][field]
    with pytest.raises(ConfigError) as caught:
        parse_experiment(data)
    assert [(p.path, p.message) for p in caught.value.problems] == [
        (f"searcher.{field}", "this field is required")
    ]


def test_a_sampler_may_be_a_name_alone() -> None:
    found = parse_experiment(of("random", sampler="gp")).searcher
    assert found.sampler.name == "gp"  # type: ignore[union-attr]
    found = parse_experiment(of("pbt", sampler={"name": "tpe", "startup_trials": 3})).searcher
    assert found.sampler.startup_trials == 3  # type: ignore[union-attr]


WRONG: list[tuple[dict[str, Any], str, str, str | None]] = [
    (of("hyperband", max_trials=4), "searcher.max_trials", "no such field", "max_time"),
    (of("single", max_concurrent_trials=4), "searcher.max_concurrent_trials", "no such field",
     None),
    (of("pbt", poplation_size=4), "searcher.poplation_size", "no such field", "population_size"),
    (of("adaptive_asha", mod="standard"), "searcher.mod", "no such field", "mode"),
    (of("adaptive_asha", mode="agressive"), "searcher.mode", "input should be", "aggressive"),
    (of("adaptive_asha", bracket_rungs=[3, 0]), "searcher.bracket_rungs.1",
     "greater than or equal to 1", None),
    (of("async_halving", divisor=1), "searcher.divisor", "greater than 1", None),
    (of("async_halving", divisor=float("inf")), "searcher.divisor", "finite", None),
    (of("hyperband", passes=0), "searcher.passes", "greater than or equal to 1", None),
    (of("pbt", truncate_fraction=0.6), "searcher.truncate_fraction", "less than or equal to 0.5",
     None),
    (of("pbt", population_size=1), "searcher.population_size", "greater than or equal to 2", None),
    (of("random", sampler="tpee"), "searcher.sampler.name", "input should be", "tpe"),
    (of("random", sampler={"name": "tpe", "startup": 3}), "searcher.sampler.startup",
     "no such field", "startup_trials"),
    (of("random", sampler="cmaes", objectives=[{"metric": "size"}]), "searcher",
     "cmaes takes one objective", None),
    (of("grid", sampler="tpe"), "searcher.sampler", "no such field", None),
    (of("random", warm_start=["y"]), "searcher.warm_start",
     "the sampler random learns from no results; tpe, gp, cmaes, nsgaii do", None),
    (of("pbt", population_size=4, sampler="qmc", warm_start=["y"]), "searcher.warm_start",
     "the sampler qmc learns from no results", None),
    (of("random", early_stopping=[{"name": "median", "grace": 3}]),
     "searcher.early_stopping.0.grace", "no such field", "grace_time"),
    (of("random", early_stopping=[{"name": "mean"}]), "searcher.early_stopping.0.name",
     "input should be 'median'", "median"),
    (of("random", objectives=[{"metric": "size", "smaler_is_better": False}]),
     "searcher.objectives.0.smaler_is_better", "no such field", "smaller_is_better"),
    (of("random", budget={"hour": 3}), "searcher.budget.hour", "no such field", "hours"),
    (of("random", budget={}), "searcher.budget", "say hours, slot_hours, units or money", None),
    (of("random", budget={"units": 0}), "searcher.budget.units", "greater than or equal to 1",
     None),
    (of("random", budget={"hours": float("nan")}), "searcher.budget.hours", "finite number", None),
    (of("random", source_trial_id="a.b"), "searcher.source_trial_id", "pattern", None),
    (of("random", warm_start=["a b"]), "searcher.warm_start.0", "pattern", None),
    (of("random", warm_start="abc"), "searcher.warm_start", "valid list", None),
    (a_file(searcher=searcher(name="hyper_band")), "searcher.name", "no search method",
     "hyperband"),
    (a_file(searcher=searcher(name=3)), "searcher.name", "no search method", None),
    (a_file(constraints=["lr <"]), "constraints.0", "cannot be read as a condition", None),
    (a_file(constraints=["lr < 1", "lrr < 1"]), "constraints.1", "no hyperparameter 'lrr'", "lr"),
    (a_file(constraints=["optimizer.bta < 1"]), "constraints.0",
     "no hyperparameter 'optimizer.bta'", "optimizer.beta"),
    (a_file(constraints=["sin(lr) < 1"]), "constraints.0", "no function 'sin'", None),
    (a_file(constraints=["lr.__class__ == 1"]), "constraints.0", "is no condition", None),
    (a_file(hyperparameters={"a": {"type": "int", "minval": 1, "maxval": 2, "when": "b == 1"},
                             "b": 1}),
     "hyperparameters.a.when", "there is no hyperparameter 'b' (a `when` must come after it)",
     None),
    (a_file(hyperparameters={"a": {"type": "int", "minval": 1, "maxval": 2, "when": "a == 1"}}),
     "hyperparameters.a.when", "no hyperparameter 'a'", None),
    (a_file(hyperparameters={"b": 1, "a": {"type": "int", "minval": 1, "maxval": 2,
                                           "whn": "b == 1"}}),
     "hyperparameters.a.whn", "extra inputs", None),
    (a_file(hyperparameters=SPACE, searcher=searcher(starting_points=[{}, {"opr": "sgd"}])),
     "searcher.starting_points.1", "no hyperparameter 'opr'", "opt"),
    *[
        (a_file(hyperparameters=RANGES, searcher=searcher(starting_points=[point])),
         "searcher.starting_points.0", message, None)
        for point, message in OUTSIDE
    ],
    (a_file(hyperparameters=SPACE, searcher=searcher(starting_points=[{"net": {"wdth": 3}}])),
     "searcher.starting_points.0", "no hyperparameter 'net.wdth'", "net.width"),
    (a_file(hyperparameters=SPACE,
            searcher=searcher(starting_points=[{"opt": {"type": "int", "minval": 3}}])),
     "searcher.starting_points.0.opt.maxval", "field required", None),
    (a_file(hyperparameters={"a": {"type": "int", "minval": 3}}, searcher={
        "name": "grid", "metric": "loss", "max_time": 1}),
     "hyperparameters.a.maxval", "field required", None),
    (a_file(hyperparameters={"a": {"type": "double", "minval": 3, "maxval": float("inf")}}),
     "hyperparameters.a.maxval", "finite", None),
    (a_file(hyperparameters={"a": {"type": "categorical", "vals": []}}), "hyperparameters.a.vals",
     "at least 1", None),
]  # fmt: skip


@pytest.mark.parametrize(("data", "path", "message", "suggestion"), WRONG)
def test_what_is_wrong_is_said_with_its_place(
    data: dict[str, Any], path: str, message: str, suggestion: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(data)
    found = {p.path: p for p in caught.value.problems}
    assert path in found, caught.value.problems
    assert message in found[path].message
    assert found[path].suggestion == suggestion
    assert "\n" not in str(found[path])


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(a_file(constraints=["a <", "b < 1", "lr < 1"]))
    assert [p.path for p in caught.value.problems] == ["constraints.0", "constraints.1"]


@pytest.mark.parametrize("lr", [1e-4, 0.001, 0.1, 10**-1, 10.0**-4])
def test_starting_points_may_lie_on_the_edges_of_ranges(lr: float) -> None:
    points = [{"lr": lr, "momentum": 0.5, "width": 9, "opt": None}, {"momentum": 0.99, "width": 2}]
    data = a_file(hyperparameters=RANGES, searcher=searcher(starting_points=points))
    assert parse_experiment(data).searcher.starting_points == points  # type: ignore[union-attr]


def test_every_method_takes_rules_of_early_stopping() -> None:
    rules = [{"name": "median"}]
    for name in LEAST:
        found = parse_experiment(of(name, early_stopping=rules)).searcher.early_stopping
        assert [rule.name for rule in found] == ["median"]


def test_conditions_on_what_came_before_are_fine() -> None:
    space = SPACE | {
        "beta": {"type": "double", "minval": 0, "maxval": 1, "when": "opt == 'adam'"},
        "gamma": {"type": "double", "minval": 0, "maxval": 1, "when": "beta > 0.5"},
        "layers": {1: 32, 2: 64},
    }
    constraints = ["net.width * beta < 9", "gamma < 0.9"]
    points = [{"opt": "sgd", "net": {"width": 3}}]
    data = a_file(hyperparameters=space, constraints=constraints,
                  searcher=searcher(starting_points=points))  # fmt: skip
    assert parse_experiment(data).constraints == constraints
