"""A search that is a program of one's own: Optuna says what is tried, Shoal trains it.

Each trial trains 2 epochs and waits. It is extended to 4, 8 and 16 while Optuna's pruner finds it
promising, and stopped otherwise. `shoal up` first, then `python search.py`.
"""

from pathlib import Path

import optuna
import yaml
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from shoal.client import Client

HERE = Path(__file__).parent
SPACE = {
    "lr": FloatDistribution(1e-3, 0.3, log=True),
    "width": IntDistribution(4, 32),
    "dropout": FloatDistribution(0.0, 0.6),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "activation": CategoricalDistribution(["relu", "gelu", "tanh"]),
}
FIXED = {"batch": 64}
TRIALS, AT_ONCE = 12, 4
FIRST, FULL = 2, 16


class Search:
    """One experiment, driven by one study."""

    def __init__(self, client: Client, experiment_id: str, study: optuna.Study) -> None:
        self.client, self.experiment_id, self.study = client, experiment_id, study
        self.asked: dict[str, optuna.Trial] = {}
        """Request to the study's trial."""
        self.open: dict[str, optuna.Trial] = {}
        """Shoal's trial to the study's, until its value is told."""
        self.results: dict[str, tuple[int, float | None]] = {}
        """The newest result of each: after how many epochs, and its value."""

    def run(self) -> None:
        """Until the experiment has ended."""
        for _ in range(AT_ONCE):
            self.ask()
        types = ("trial.", "search.")
        for event in self.client.events(experiment=self.experiment_id, types=types, since="start"):
            kind, data = event["type"], event["data"]
            if kind in ("search.completed", "search.cancelled", "search.failed"):
                return
            if kind == "trial.created":
                self.open[data["trial_id"]] = self.asked[data["request_id"]]
            elif data.get("trial_id") in self.open:
                self.heard(kind, data)

    def heard(self, kind: str, data: dict) -> None:
        """Something happened to a trial whose value is not told yet."""
        trial_id = data["trial_id"]
        if kind == "trial.measured":
            self.results[trial_id] = data["time"], data["metric"]
        elif kind == "trial.completed":
            self.judge(trial_id, completed=True)
        elif kind == "trial.paused" and not data["by_user"]:
            self.judge(trial_id, completed=False)
        elif kind in ("trial.stopped", "trial.cancelled", "trial.failed"):
            self.tell(trial_id, state=TrialState.FAIL)  # a person stopped it, or its script broke

    def judge(self, trial_id: str, completed: bool) -> None:
        """A trial is trained in full, or has reached its target and waits."""
        trial, (epochs, value) = self.open[trial_id], self.results[trial_id]
        print(f"{trial_id} after {epochs}: {value}", flush=True)
        if value is None:  # not a number
            if not completed:
                self.client.stop_trial(trial_id)
            self.tell(trial_id, state=TrialState.FAIL)
            return
        trial.report(value, epochs)
        if completed:
            self.tell(trial_id, value)
        elif trial.should_prune():
            self.client.stop_trial(trial_id)
            self.tell(trial_id, state=TrialState.PRUNED)
        else:
            self.client.extend_trial(trial_id, min(2 * epochs, FULL))

    def ask(self) -> None:
        """Have the study's next configuration tried."""
        trial = self.study.ask(SPACE)
        request_id = f"optuna-{trial.number}"
        self.asked[request_id] = trial
        self.client.create_trial(
            self.experiment_id, trial.params | FIXED, target=FIRST, request_id=request_id
        )

    def tell(
        self, trial_id: str, value: float | None = None, state: TrialState | None = None
    ) -> None:
        """Tell the study how a trial ended; another takes its place, or the search ends."""
        self.study.tell(self.open.pop(trial_id), value, state=state)
        if len(self.asked) < TRIALS:
            self.ask()
        elif all(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False)):
            self.client.finish(self.experiment_id)


def main() -> None:
    config = yaml.safe_load((HERE / "experiment.yaml").read_text())
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST, reduction_factor=2)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    with Client() as client:
        experiment = client.run(config, HERE.parent / "digits")
        print(f"drives {experiment['experiment_id']}", flush=True)
        Search(client, experiment["experiment_id"], study).run()
    if study.get_trials(states=[TrialState.COMPLETE]):
        print(f"best: {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()
