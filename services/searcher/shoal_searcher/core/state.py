"""What the searcher knows. Plain models and dicts; only `evolve` changes them."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import Bundle, Checkpoint, PastResult
from shoal_contract.events.trial import Inherits
from shoal_contract.states import EXPERIMENT, TRIAL, ExperimentState, TrialState, terminal
from shoal_searcher.core.fronts import Fronts

Place = tuple[float, int]
"""What a trial is ranked by: its cost, and of equals its number: the earlier proposal comes first,
whatever came in first."""


class _Kept(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")


class Trial(_Kept):
    """One trial."""

    trial_id: str
    number: int
    hyperparameters: dict[str, Any]
    seed: int
    bracket: int = 0
    origin: str = "random"
    request_id: str | None = None
    state: TrialState = TrialState.CREATED
    attempt: int = 0
    """Of the last request for slots; 0: none yet."""
    holding: bool = False
    """Whether that attempt's allocation may still hold slots."""
    awaits: int | None = None
    """Its script ended by itself, and a result at this time is still to be heard."""
    slots: int = 0
    """That its last attempt was granted."""
    started_at: float | None = None
    """Since when it does, Unix seconds; None: it does not, or only waits for them."""
    target: int = 0
    """Trained or to be trained up to here, in units of the time metric."""
    time: int = -1
    """Of the last validation that was counted; -1: none yet."""
    costs: list[float] = Field(default_factory=list)
    """The last result, one cost an objective: what is to be minimised."""
    cost_sum: float = 0.0
    results: int = 0
    """Results that were counted; `cost_sum` adds up their first costs."""
    best: float | None = None
    best_step: int = 0
    step: int = 0
    """Of the last result."""
    best_checkpoint: Checkpoint | None = None
    """The one taken at `best_step`, if there is one."""
    checkpoint: Checkpoint | None = None
    """The newest of its own."""
    source: Checkpoint | None = None
    """Another trial's, to start from."""
    inherits: Inherits = "nothing"
    rung: int = -1
    """The highest rung that it has passed."""
    told: bool = False
    """Whether it has a result at a rung."""
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

    @property
    def placed(self) -> bool:
        """Whether it takes up a place: on its way to slots, on them, or held by a person."""
        if self.state is TrialState.PAUSED:
            return self.held_by_user
        return self.active or self.state is TrialState.CREATED

    @property
    def waits(self) -> bool:
        """Whether it was paused by the method, and may be promoted."""
        return self.state is TrialState.PAUSED and not self.held_by_user and self.rung >= 0


class Rung(_Kept):
    """The results at one rung of a bracket."""

    target: int = 0
    """Where it is, in units of the time metric."""
    costs: dict[int, list[float]] = Field(default_factory=dict)
    """By the number of the trial."""
    order: list[Place] = Field(default_factory=list)
    """All of them, the best first cost first."""
    waiting: list[Place] = Field(default_factory=list)
    """Those whose trial waits here, in the same order."""
    fronts: Fronts = Field(default_factory=list)
    """With several objectives: all of them by Pareto front, the best first."""


class BracketState(_Kept):
    """One bracket."""

    created: int = 0
    """Trials that began in it."""
    rungs: list[Rung] = Field(default_factory=list)


class Experiment(_Kept):
    """One experiment, while it is not over."""

    experiment_id: str
    config: ExperimentConfig
    bundle: Bundle | None
    storage_url: str
    accepted_at: float = 0.0
    state: ExperimentState = ExperimentState.ACTIVE
    resumed: bool = False
    """Whether it was paused and resumed at some time."""
    max_trials: int | None = None
    max_concurrent_trials: int | None = None
    """As a person changed them; None: as in the config."""
    closing: str = ""
    """Why no more trials are proposed; empty: they are."""
    closing_at_once: bool = False
    trials: dict[str, Trial] = Field(default_factory=dict)
    gone: dict[int, None] = Field(default_factory=dict)
    """Numbers of the trials that failed or were cancelled."""
    copies: int = 0
    """Trials that began as copies of others."""
    places: dict[str, int] = Field(default_factory=dict)
    """Trials that take up a place, and their bracket."""
    brackets: list[BracketState] = Field(default_factory=list)
    requests: dict[str, str] = Field(default_factory=dict)
    """A program's request to the trial that it made."""
    means: dict[int, list[float]] = Field(default_factory=dict)
    """For the median rule: at each time, the trials' running means, sorted."""
    units: int = 0
    """Trained so far, all trials together."""
    slot_seconds: float = 0.0
    """Used by attempts that are over."""
    warmed: bool = False
    """Whether it was found what to start from."""
    warmed_at: float = 0.0
    """When, Unix seconds."""
    begun: bool = False
    """Whether draws take the place of the proposals that its trials were to begin with."""
    failure: str = ""
    """Why its sampler's last answer has no proposals."""
    past: list[PastResult] = Field(default_factory=list)
    source: Checkpoint | None = None
    proposals: list[dict[str, Any]] = Field(default_factory=list)
    """A sampler's, not used yet; values by dotted name."""
    known: int = 0
    """Results that the newest of them have learned from."""
    counted: int = 0
    """Results that there are: one for each rung that a trial passed."""
    asks: list[tuple[int, int]] = Field(default_factory=list)
    """The sampler's answers: what it knew, and how many it proposed."""
    told: list[tuple[int, list[float]]] = Field(default_factory=list)
    """First result of each trial, in the order of arrival: its number, its costs."""

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return terminal(EXPERIMENT, self.state)

    def cost(self, value: float | None, objective: int = 0) -> float:
        """A result as something to be minimised; what is no number is infinitely bad."""
        if value is None:
            return float("inf")
        return value if self.config.searcher.directions[objective][1] else -value

    def costs(self, values: Iterable[float | None]) -> list[float]:
        """A result in every objective as costs."""
        return [self.cost(value, number) for number, value in enumerate(values)]

    def better(self, a: float, b: float | None) -> bool:
        """Whether the result `a` of the first objective beats `b`."""
        return b is None or self.cost(a) < self.cost(b)

    def best(self) -> Trial | None:
        """The trial with the best result at any step; the earlier one if two are equal."""
        found: Trial | None = None
        for trial in self.trials.values():
            if trial.best is not None and (found is None or self.better(trial.best, found.best)):
                found = trial
        return found

    def rung(self, bracket: int, rung: int) -> Rung:
        """The results at a rung, which may be none."""
        rungs = self.brackets[bracket].rungs if bracket < len(self.brackets) else []
        return rungs[rung] if rung < len(rungs) else Rung()

    def trial(self, number: int) -> Trial:
        """The trial of a number."""
        return self.trials[f"{self.experiment_id}-{number}"]


class State(_Kept):
    """Everything."""

    experiments: dict[str, Experiment] = Field(default_factory=dict)
    """Those that are not over."""
    ended: dict[str, ExperimentState] = Field(default_factory=dict)
    """Those that are: enough to refuse what comes too late."""
    killed: dict[str, None] = Field(default_factory=dict)
    """Those of `closing` whose trials get no time to save."""
    closing: dict[str, list[str]] = Field(default_factory=dict)
    """Trials of cancelled experiments that are still to be told, by experiment."""

    def trial(self, experiment_id: str, trial_id: str) -> tuple[Experiment, Trial] | None:
        """A trial and its experiment, if they are known and not over."""
        experiment = self.experiments.get(experiment_id)
        trial = experiment.trials.get(trial_id) if experiment else None
        return (experiment, trial) if experiment and trial else None
