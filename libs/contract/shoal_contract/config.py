"""The experiment file, in Determined's dialect where one exists.

Reference: https://docs.determined.ai/latest/reference/training/experiment-config-reference.html
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from shoal_contract.base import Strict

Scalar = str | int | float | bool | None


class Const(Strict):
    """A fixed value. A bare value in the file means the same."""

    type: Literal["const"]
    val: Any


class IntRange(Strict):
    """A whole number, uniform over [minval, maxval]; `count` points of it in a grid."""

    type: Literal["int"]
    minval: int
    maxval: int
    count: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "IntRange":
        if self.minval > self.maxval:
            raise ValueError(f"minval ({self.minval}) must not exceed maxval ({self.maxval})")
        return self


class DoubleRange(Strict):
    """A real number, uniform over [minval, maxval]; `count` points of it in a grid."""

    type: Literal["double"]
    minval: float = Field(allow_inf_nan=False)
    maxval: float = Field(allow_inf_nan=False)
    count: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "DoubleRange":
        if self.minval > self.maxval:
            raise ValueError(f"minval ({self.minval}) must not exceed maxval ({self.maxval})")
        return self


class LogRange(Strict):
    """`base ** x` with x uniform over [minval, maxval]: minval and maxval are exponents."""

    type: Literal["log"]
    base: float = Field(default=10.0, gt=1, allow_inf_nan=False)
    minval: float = Field(allow_inf_nan=False)
    maxval: float = Field(allow_inf_nan=False)
    count: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "LogRange":
        if self.minval > self.maxval:
            raise ValueError(f"minval ({self.minval}) must not exceed maxval ({self.maxval})")
        return self


class Categorical(Strict):
    """One of the listed values."""

    type: Literal["categorical"]
    vals: list[Any] = Field(min_length=1)


Range = Annotated[
    Const | IntRange | DoubleRange | LogRange | Categorical, Field(discriminator="type")
]
RANGE_TYPES = ("const", "int", "double", "log", "categorical")


class _Searcher(Strict):
    metric: str = Field(min_length=1)
    """The validation metric that decides. A report that carries it is a validation report."""
    smaller_is_better: bool = True
    time_metric: str = "step"
    """The reported number in which `max_time` counts; `step` is the report's own step."""
    max_time: int = Field(ge=1)
    """Length of a trial trained in full, in units of `time_metric`."""


class SingleSearcher(_Searcher):
    """One trial, trained in full."""

    name: Literal["single"]


class _Many(_Searcher):
    max_concurrent_trials: int = Field(default=16, ge=0)
    """Trials in the air at once; 0 means as many as there are."""


class RandomSearcher(_Many):
    """`max_trials` random configurations, each trained in full."""

    name: Literal["random"]
    max_trials: int = Field(ge=1)


class GridSearcher(_Many):
    """Every point of the grid that the ranges span, each trained in full."""

    name: Literal["grid"]


class AsyncHalvingSearcher(_Many):
    """Asynchronous successive halving (ASHA), Li et al., https://arxiv.org/abs/1810.05934."""

    name: Literal["async_halving"]
    max_trials: int = Field(ge=1)
    divisor: float = Field(default=4, gt=1, allow_inf_nan=False)
    """Of the trials that reach a rung, the best 1/divisor go on to the next."""
    num_rungs: int = Field(default=5, ge=1)
    stop_once: bool = False
    """True: a trial below the cut is stopped for good. False: it is paused, and may be promoted."""


Searcher = Annotated[
    SingleSearcher | RandomSearcher | GridSearcher | AsyncHalvingSearcher,
    Field(discriminator="name"),
]
SEARCHER_NAMES = ("single", "random", "grid", "async_halving")


class Resources(Strict):
    """What each trial needs, and the experiment's place among others."""

    slots_per_trial: int = Field(default=1, ge=1)
    resource_pool: str = "default"
    priority: int = Field(default=42, ge=1, le=99)
    """1 to 99, smaller first."""
    weight: float = Field(default=1, gt=0, allow_inf_nan=False)
    max_slots: int | None = Field(default=None, ge=1)
    """Slots that the experiment may hold at once."""


class CheckpointStorage(Strict):
    """Where checkpoints go, and how many are kept."""

    url: str | None = None
    """Any fsspec address (`file://`, `gs://`, `s3://`); the platform's own when left out."""
    save_experiment_best: int = Field(default=0, ge=0)
    save_trial_best: int = Field(default=1, ge=0)
    save_trial_latest: int = Field(default=1, ge=0)


class Environment(Strict):
    """What a trial's processes find."""

    environment_variables: dict[str, str] = Field(default_factory=dict)


class ExperimentConfig(Strict):
    """One experiment file. `parse_experiment` reads it and explains what is wrong."""

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    labels: list[str] = Field(default_factory=list)
    entrypoint: list[str] = Field(min_length=1)
    """The command of one rank, e.g. `python train.py`. A string is split as a shell would."""
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    searcher: Searcher
    resources: Resources = Resources()
    max_restarts: int = Field(default=5, ge=0)
    """How often a trial that failed by its own fault is started again from its checkpoint."""
    checkpoint_storage: CheckpointStorage = CheckpointStorage()
    environment: Environment = Environment()
    seed: int = Field(default=0, ge=0, lt=2**63)

    @field_validator("entrypoint", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            import shlex

            return shlex.split(value)
        return value

    @model_validator(mode="after")
    def _slots_fit(self) -> "ExperimentConfig":
        limit = self.resources.max_slots
        if limit is not None and limit < self.resources.slots_per_trial:
            raise ValueError(
                f"resources.max_slots ({limit}) is less than resources.slots_per_trial"
                f" ({self.resources.slots_per_trial}): no trial could ever start"
            )
        return self
