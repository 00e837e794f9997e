"""Experiment files: what is accepted, and what is said of what is not."""

from typing import Any

import pytest

from shoal_contract.parse import ConfigError, parse_experiment, range_of
from shoal_contract.ranges import LogRange


def a_file(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "cells",
        "entrypoint": "python train.py --data '/data/a b'",
        "hyperparameters": {
            "lr": {"type": "log", "minval": -4, "maxval": -1},
            "batch": 32,
            "optimizer": {"name": "adam", "beta": {"type": "double", "minval": 0, "maxval": 1}},
        },
        "searcher": {"name": "random", "metric": "loss", "max_time": 10, "max_trials": 4},
    }
    return {**base, **changes}


def searcher(**changes: Any) -> dict[str, Any]:
    return {**a_file()["searcher"], **changes}


def test_a_good_file_gets_determineds_defaults() -> None:
    config = parse_experiment(a_file())
    assert config.entrypoint == ["python", "train.py", "--data", "/data/a b"]
    assert config.max_restarts == 5
    assert config.searcher.smaller_is_better
    assert config.resources.slots_per_trial == 1
    assert config.resources.priority == 42
    assert range_of(config.hyperparameters["lr"]) == LogRange(type="log", minval=-4, maxval=-1)
    assert range_of(config.hyperparameters["optimizer"]) is None


@pytest.mark.parametrize(
    ("data", "path", "message", "suggestion"),
    [
        (a_file(resorces={}), "resorces", "no such field", "resources"),
        (a_file(searcher=searcher(max_trails=3)), "searcher.max_trails", "no such field",
         "max_trials"),
        (a_file(searcher=searcher(name="randon")), "searcher.name", "no search method", "random"),
        (a_file(searcher={"name": "random"}), "searcher.metric", "required", None),
        (a_file(searcher={"metric": "loss"}), "searcher.name", "required", None),
        (a_file(resources={"slot_type": "A100>=80"}), "resources.slot_type", "should match", None),
        (a_file(resources={"slots_per_trial": 0}), "resources.slots_per_trial",
         "greater than or equal to 1", None),
        (a_file(resources={"slots_per_trial": 4, "max_slots": 2}), "", "no trial could ever",
         None),
        (a_file(environment={"preload": ["timm.models", "os; rm"]}), "environment.preload.1",
         "should match", None),
        (a_file(environment={"preload": ["timm"], "image": "x"}), "environment",
         "leave environment.preload out", None),
        (a_file(hyperparameters={"a": {"type": "lgo", "minval": 0, "maxval": 1}}),
         "hyperparameters.a.type", "no kind of range", "log"),
        (a_file(hyperparameters={"o": {"a": {"type": "int", "minval": 3, "maxval": 1}}}),
         "hyperparameters.o.a", "must not exceed", None),
        (a_file(hyperparameters={"a": {"type": "int", "minval": 3}}),
         "hyperparameters.a.maxval", "field required", None),
        (a_file(searcher={"name": "grid", "metric": "loss", "max_time": 1}),
         "hyperparameters.lr.count", "needs `count`", None),
        (a_file(entrypoint=""), "entrypoint", "at least 1", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    data: dict[str, Any], path: str, message: str, suggestion: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(data)
    found = {p.path: p for p in caught.value.problems}
    assert path in found, caught.value.problems
    assert message in found[path].message
    assert found[path].suggestion == suggestion


@pytest.mark.parametrize("data", [None, 3, "name: x", ["a"]])
def test_what_is_no_mapping_is_refused(data: object) -> None:
    with pytest.raises(ConfigError, match="mapping"):
        parse_experiment(data)
