"""The example of a search of one's own, with the real searcher."""

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel
from unit.searcher.pool import Pool

from shoal_contract.events import (
    ExperimentFinishRequested,
    TrialCreated,
    TrialCreateRequested,
    TrialExtendRequested,
    TrialStopRequested,
)
from shoal_contract.parse import parse_experiment

optuna = pytest.importorskip("optuna")
yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[3] / "examples" / "custom_search"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("custom_search", FOLDER / "search.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_search"] = module
    spec.loader.exec_module(module)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return module


class Platform:
    """The real searcher, and trials that train at once: accuracy grows with time and width."""

    def __init__(self, broken: int | None = None, odd: int | None = None) -> None:
        config = yaml.safe_load((FOLDER / "experiment.yaml").read_text())
        self.pool = Pool(parse_experiment(config | {"max_restarts": 0}))
        self.broken, self.odd = broken, odd

    def create_trial(
        self, experiment_id: str, hyperparameters: dict[str, Any], target: int, request_id: str
    ) -> None:
        self._tell(
            TrialCreateRequested(
                experiment_id=experiment_id, hyperparameters=hyperparameters, target=target,
                request_id=request_id,
            )
        )  # fmt: skip

    def extend_trial(self, trial_id: str, target: int) -> None:
        self._tell(TrialExtendRequested(experiment_id="e", trial_id=trial_id, target=target))

    def stop_trial(self, trial_id: str) -> None:
        self._tell(TrialStopRequested(experiment_id="e", trial_id=trial_id))

    def finish(self, experiment_id: str) -> None:
        self._tell(ExperimentFinishRequested(experiment_id=experiment_id))

    def _tell(self, body: BaseModel) -> None:
        assert "refused.message" not in self.pool.tell(body)

    def _train(self) -> None:
        """One trial up to its target, if one is under way."""
        for n in self.pool.in_state("wanted")[:1]:
            if n == self.broken:
                self.pool.end(n, "failed", "no reason")
                return
            target, width = self.pool.targets[f"e-{n}"], self.pool.trial(n).hyperparameters["width"]
            accuracy = math.nan if n == self.odd else target / 20 + width / 200
            self.pool.report(n, target, None, accuracy=accuracy)
            self.pool.end(n, "stopped")

    def events(self, **asked: Any) -> Iterator[dict[str, Any]]:
        assert asked["since"] == "start"
        heard = 0
        while heard < len(self.pool.events):
            event = self.pool.events[heard]
            heard += 1
            if event.type.startswith(asked["types"]):
                yield {"type": event.type, "data": event.model_dump(mode="json")}
            if heard == len(self.pool.events):
                self._train()
        raise AssertionError("the search never ended")


def drive(example: ModuleType, platform: Platform) -> Any:
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2)
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=sampler)
    example.Search(platform, "e", study).run()
    return study


def test_the_promising_train_on_and_the_rest_is_stopped(example: ModuleType) -> None:
    platform = Platform()
    study = drive(example, platform)
    states = {t.number: t.state.name for t in study.get_trials()}
    assert len(states) == example.TRIALS == len(platform.pool.trials)
    shoals = {"COMPLETE": "completed", "PRUNED": "stopped"}
    assert platform.pool.trials == {f"e-{n}": shoals[state] for n, state in states.items()}
    widths = [e.hyperparameters["width"] for e in platform.pool.said(TrialCreated)]
    assert study.best_params["width"] == max(widths)
    assert study.best_value == example.FULL / 20 + max(widths) / 200


def test_a_trial_that_fails_costs_a_trial_and_not_the_search(example: ModuleType) -> None:
    study = drive(example, Platform(broken=0, odd=1))
    states = [t.state.name for t in study.get_trials()]
    assert states[:2] == ["FAIL", "FAIL"]
    assert "COMPLETE" in states


def test_its_file_is_an_experiment(example: ModuleType) -> None:
    config = parse_experiment(yaml.safe_load((FOLDER / "experiment.yaml").read_text()))
    assert config.searcher.name == "custom"
    assert config.searcher.max_time == example.FULL
