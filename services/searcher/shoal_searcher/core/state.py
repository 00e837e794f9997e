"""What the searcher knows. Plain models and dicts; only `evolve` changes them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import Bundle, Checkpoint
from shoal_contract.states import EXPERIMENT, TRIAL, ExperimentState, TrialState, terminal


class _Kept(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")


class Trial(_Kept):
    """One trial."""

    trial_id: str
    number: int
    hyperparameters: dict[str, Any]
    seed: int
    state: TrialState = TrialState.CREATED
    attempt: int = 0
    """Of the last request for slots; 0: none yet."""
    holding: bool = False
    """Whether that attempt's allocation may still hold slots."""
    target: int = 0
    """Trained or to be trained up to here, in units of the time metric."""
    time: int = -1
    """Of the last validation that was counted; -1: none yet."""
    metric: float | None = None
    """Its value; None if there is none, or it was not a number."""
    best: float | None = None
    best_step: int = 0
    best_checkpoint: Checkpoint | None = None
    """The one taken at `best_step`, if there is one."""
    checkpoint: Checkpoint | None = None
    """The newest."""
    rung: int = -1
    """The highest rung whose result is counted."""
    held_by_user: bool = False
    """Paused with its experiment, not by the method."""
    failures: int = 0
    losses: int = 0
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return terminal(TRIAL, self.state)

    @property
    def active(self) -> bool:
        """Whether an attempt is wanted or about to be."""
        return self.state in (TrialState.WANTED, TrialState.INTERRUPTED)


class Experiment(_Kept):
    """One experiment, while it is not over."""

    experiment_id: str
    config: ExperimentConfig
    bundle: Bundle | None
    storage_url: str
    state: ExperimentState = ExperimentState.ACTIVE
    resumed: bool = False
    """Whether it was paused and resumed at some time."""
    trials: dict[str, Trial] = Field(default_factory=dict)
    rungs: list[dict[str, float | None]] = Field(default_factory=list)
    """For each rung: trial to its result there, in the order of arrival."""

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return terminal(EXPERIMENT, self.state)

    def better(self, a: float, b: float | None) -> bool:
        """Whether the result `a` beats `b`."""
        if b is None:
            return True
        return a < b if self.config.searcher.smaller_is_better else a > b

    def cost(self, value: float | None) -> float:
        """A result as something to be minimised; what is no number is infinitely bad."""
        if value is None:
            return float("inf")
        return value if self.config.searcher.smaller_is_better else -value

    def best(self) -> Trial | None:
        """The trial with the best result at any step; the earlier one if two are equal."""
        found: Trial | None = None
        for trial in self.trials.values():
            if trial.best is not None and (found is None or self.better(trial.best, found.best)):
                found = trial
        return found


class State(_Kept):
    """Everything."""

    experiments: dict[str, Experiment] = Field(default_factory=dict)
    """Those that are not over."""
    ended: dict[str, ExperimentState] = Field(default_factory=dict)
    """Those that are: enough to refuse what comes too late."""
    closing: dict[str, list[str]] = Field(default_factory=dict)
    """Trials of cancelled experiments that are still to be told, by experiment."""

    def trial(self, experiment_id: str, trial_id: str) -> tuple[Experiment, Trial] | None:
        """A trial and its experiment, if they are known and not over."""
        experiment = self.experiments.get(experiment_id)
        trial = experiment.trials.get(trial_id) if experiment else None
        return (experiment, trial) if experiment and trial else None
