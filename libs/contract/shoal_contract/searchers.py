"""The `searcher` section of an experiment file: what is tried, how far, and when it is enough.

Reference for the names of Determined's dialect:
https://docs.determined.ai/latest/reference/training/experiment-config-reference.html#searcher
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from shoal_contract.base import Id, Strict

LEARNING = ("tpe", "gp", "cmaes", "nsgaii")
"""Samplers that learn from results."""


class Objective(Strict):
    """One more number to optimise, beside `metric`."""

    metric: str = Field(min_length=1)
    smaller_is_better: bool = True


class Sampler(Strict):
    """What proposes configurations. `random` and `qmc` (a randomised Halton sequence) learn from
    nothing; the others are Optuna's:
    https://optuna.readthedocs.io/en/stable/reference/samplers/index.html"""

    name: Literal["random", "tpe", "gp", "cmaes", "nsgaii", "qmc"] = "random"
    startup_trials: int | None = Field(default=None, ge=0)
    """Results of trials that are drawn at random before `tpe`, `gp` and `cmaes` learn; None: 10 for
    `tpe`, which compares the good with the others, 3 for `gp`, 8 for `cmaes`."""


class MedianRule(Strict):
    """Stop a trial whose best result is worse than the median of the others' running means at the
    same time (Golovin et al., Google Vizier, KDD 2017, https://dl.acm.org/doi/10.1145/3097983.3098043)."""

    name: Literal["median"]
    grace_time: int = Field(default=1, ge=0)
    """Units of the time metric up to which nobody is stopped."""
    min_trials: int = Field(default=5, ge=1)
    """Results at the same time that it takes to judge."""


class Budget(Strict):
    """What a search may use up. When any of it is spent, trials are stopped and it completes."""

    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Wall-clock hours since the experiment was accepted."""
    slot_hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Hours times slots held: what a pool charges by."""
    units: int | None = Field(default=None, ge=1)
    """Units of the time metric, summed over trials."""
    money: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """USD of machine time, as the provisioner accounts for it; idle machines are not charged."""

    @model_validator(mode="after")
    def _something(self) -> "Budget":
        if all(limit is None for limit in self.model_dump().values()):
            raise ValueError("say hours, slot_hours, units or money")
        return self


class _Searcher(Strict):
    metric: str = Field(min_length=1)
    """The validation metric that decides. A report that carries it is a validation report."""
    smaller_is_better: bool = True
    time_metric: str = "step"
    """The reported number in which `max_time` counts; `step` is the report's own step."""
    max_time: int = Field(ge=1)
    """Length of a trial trained in full, in units of `time_metric`."""
    objectives: list[Objective] = Field(default_factory=list)
    """Further metrics, reported together with `metric`: the result is a Pareto front."""
    source_trial_id: Id | None = None
    """Every trial starts from the weights in this trial's newest checkpoint."""
    budget: Budget | None = None
    early_stopping: list[MedianRule] = Field(default_factory=list)

    @property
    def directions(self) -> list[tuple[str, bool]]:
        """Every objective: its metric, and whether smaller is better. `metric` comes first."""
        more = [(o.metric, o.smaller_is_better) for o in self.objectives]
        return [(self.metric, self.smaller_is_better), *more]


class SingleSearcher(_Searcher):
    """One trial, trained in full."""

    name: Literal["single"]


class Many(_Searcher):
    """The fields of methods with many trials."""

    max_concurrent_trials: int = Field(default=16, ge=0)
    """Trials in the air at once; 0 means as many as there are."""


class Sampled(Many):
    """The fields of methods whose configurations come from a sampler."""

    sampler: Sampler = Sampler()
    """A name alone will do: `sampler: tpe`."""
    starting_points: list[dict[str, Any]] = Field(default_factory=list)
    """Configurations to try first; what one leaves out is drawn."""
    warm_start: list[Id] = Field(default_factory=list)
    """Earlier experiments, whose results a sampler that learns begins with."""

    @field_validator("sampler", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> "Sampled":
        if self.sampler.name == "cmaes" and self.objectives:
            raise ValueError("cmaes takes one objective; nsgaii, tpe and gp take several")
        return self


class RandomSearcher(Sampled):
    """`max_trials` configurations, each trained in full."""

    name: Literal["random"]
    max_trials: int = Field(ge=1)


class GridSearcher(Many):
    """Every point of the grid that the ranges span, each trained in full."""

    name: Literal["grid"]


class Halving(Sampled):
    """The fields of methods that halve asynchronously."""

    max_trials: int = Field(ge=1)
    divisor: float = Field(default=4, gt=1, allow_inf_nan=False)
    """Of the trials that reach a rung, the best 1/divisor go on to the next."""
    stop_once: bool = False
    """True: a trial below the cut is stopped for good. False: it is paused, and may be promoted."""
    round_up: bool = False
    """How many of the n results in a rung go on: n/divisor, rounded down as Determined does, or up
    as soon as there are two, as Syne Tune does: then the first good trial is trained on sooner."""


class AsyncHalvingSearcher(Halving):
    """Asynchronous successive halving (ASHA), Li et al., https://arxiv.org/abs/1810.05934."""

    name: Literal["async_halving"]
    num_rungs: int = Field(default=5, ge=1)


class AdaptiveAshaSearcher(Halving):
    """Several brackets of ASHA, from those that stop early to those that stop late."""

    name: Literal["adaptive_asha"]
    mode: Literal["aggressive", "standard", "conservative"] = "standard"
    """Which brackets: the one with most rungs, the upper half of them, or all."""
    max_rungs: int = Field(default=5, ge=1)
    bracket_rungs: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """The rungs of each bracket, instead of what `mode` and `max_rungs` give."""


class HyperbandSearcher(Sampled):
    """Hyperband, Li et al., JMLR 2018, https://jmlr.org/papers/v18/16-558.html: brackets of
    synchronous successive halving. `max_time` and `divisor` say how many trials there are."""

    name: Literal["hyperband"]
    divisor: float = Field(default=4, gt=1, allow_inf_nan=False)
    passes: int = Field(default=1, ge=1)
    """How often all brackets are run."""


class PbtSearcher(Sampled):
    """Population based training, Jaderberg et al., https://arxiv.org/abs/1711.09846: at the end of
    each round the worst go on from a copy of one of the best, with other hyperparameters."""

    name: Literal["pbt"]
    population_size: int = Field(ge=2)
    rounds: int = Field(default=10, ge=1)
    """`max_time` is cut into so many rounds of equal length."""
    truncate_fraction: float = Field(default=0.25, gt=0, le=0.5)
    """How many of a round are worst, and how many are best."""
    resample_probability: float = Field(default=0.25, ge=0, le=1)
    """With which a copy's hyperparameter is drawn anew."""
    perturb_factor: float = Field(default=0.2, gt=0, lt=1)
    """Else a number is multiplied by 1 + or - this."""


class CustomSearcher(Many):
    """A program of the user's creates, extends and stops trials over the gateway."""

    name: Literal["custom"]


Searcher = Annotated[
    SingleSearcher
    | RandomSearcher
    | GridSearcher
    | AsyncHalvingSearcher
    | AdaptiveAshaSearcher
    | HyperbandSearcher
    | PbtSearcher
    | CustomSearcher,
    Field(discriminator="name"),
]
SEARCHERS = (
    SingleSearcher, RandomSearcher, GridSearcher, AsyncHalvingSearcher, AdaptiveAshaSearcher,
    HyperbandSearcher, PbtSearcher, CustomSearcher,
)  # fmt: skip
