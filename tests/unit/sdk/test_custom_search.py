"""The example of a search of one's own, against a platform that is made up."""

import importlib.util
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
    """Trains at once: a trial's accuracy grows with its time and its width."""

    def __init__(self, broken: int | None = None, odd: int | None = None) -> None:
        self.events_to_come: deque[dict[str, Any]] = deque()
        self.widths: list[int] = []
        self.targets: list[int] = []
        self.stopped: list[str] = []
        self.broken, self.odd = broken, odd

    def _say(self, kind: str, **data: Any) -> None:
        self.events_to_come.append({"type": kind, "data": data})

    def _train(self, trial_id: str, target: int) -> None:
        number = int(trial_id.partition("-")[2])
        self.targets[number] = target
        if number == self.broken:
            self._say("trial.failed", trial_id=trial_id, reason="failed once")
            return
        metric = None if number == self.odd else target / 20 + self.widths[number] / 200
        self._say("trial.measured", trial_id=trial_id, time=target, metric=metric)
        self._say("trial.paused", trial_id=trial_id, reason="its target", by_user=False)

    def create_trial(
        self, experiment_id: str, hyperparameters: dict[str, Any], target: int, request_id: str
    ) -> None:
        trial_id = f"{experiment_id}-{len(self.widths)}"
        self.widths.append(hyperparameters["width"])
        self.targets.append(0)
        self._say("trial.created", trial_id=trial_id, request_id=request_id)
        self._train(trial_id, target)

    def extend_trial(self, trial_id: str, target: int) -> None:
        self._say("trial.extended", trial_id=trial_id, target=target)
        self._train(trial_id, target)

    def stop_trial(self, trial_id: str) -> None:
        self.stopped.append(trial_id)
        self._say("trial.stopped", trial_id=trial_id, reason="its program stopped it")

    def finish(self, experiment_id: str) -> None:
        self._say("search.completed", experiment_id=experiment_id, reason="finished")

    def events(self, **asked: Any) -> Iterator[dict[str, Any]]:
        assert asked["since"] == "start"
        while self.events_to_come:
            yield self.events_to_come.popleft()
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
    states = [t.state.name for t in study.get_trials()]
    assert len(states) == example.TRIALS == len(platform.widths)
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert len(platform.stopped) == states.count("PRUNED")
    assert study.best_params["width"] == max(platform.widths)
    full = [n for n, target in enumerate(platform.targets) if target == example.FULL]
    assert [n for n, state in enumerate(states) if state == "COMPLETE"] == full


def test_a_trial_that_fails_costs_a_trial_and_not_the_search(example: ModuleType) -> None:
    study = drive(example, Platform(broken=0, odd=1))
    states = [t.state.name for t in study.get_trials()]
    assert states[:2] == ["FAIL", "FAIL"]
    assert "COMPLETE" in states


def test_its_file_is_an_experiment(example: ModuleType) -> None:
    config = parse_experiment(yaml.safe_load((FOLDER / "experiment.yaml").read_text()))
    assert config.searcher.name == "custom"
    assert config.searcher.max_time == example.FULL
