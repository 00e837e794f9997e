"""Asking Optuna's samplers: https://optuna.readthedocs.io/en/stable/reference/samplers/index.html

Runs in a process of its own: a sampler computes for tenths of seconds, holding the interpreter.
What learns from all results is asked afresh each time, over the history in the question, so the
same question has the same answer. What counts on each of its proposals being tried keeps its study
in memory; if that is gone, it is rebuilt by asking and telling again in the recorded order.
"""

import hashlib
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from shoal_contract.ranges import (
    Categorical,
    DoubleRange,
    IntRange,
    LogRange,
    flatten,
    nest,
)
from shoal_searcher.core import space
from shoal_searcher.core.sampling import Ask, Observation, SamplerError

log = logging.getLogger(__name__)
TRIES = 20
"""Proposals that may break a constraint before one that does is let through, and not used."""
GENERATION = "NSGAIISampler:generation"
"""Where Optuna notes of a trial which generation it is of."""
WORST = 1e30
"""What an infinite cost is to a sampler that computes with it."""
KEPT = 20_000
"""Proposals in all studies together that are kept in memory."""
TENTH = 10
"""Results of earlier experiments of which a tenth is one."""

_studies: dict[str, "_Study"] = {}
"""By experiment, the one asked last at the end."""


def answer(ask: Ask) -> list[dict[str, Any]]:
    """`ask.count` proposals, each as values by dotted name."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    dims = distributions(ask.space)
    if not dims:
        return [{} for _ in range(ask.count)]
    if ask.sampler in ("tpe", "gp"):
        study, worst = _learned(ask, dims), _worst(ask.history, ask.objectives)
        found = [_allowed(study, ask, dims, worst) for _ in range(ask.count)]
        return [_values(ask.space, trial.params) for trial in found]
    return _rebuilt(ask, dims).ask(ask.count)


def distributions(of: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Optuna's form of a space. One of several values is told by its place in the list, since
    values may be of any kind. What has one value only is left out."""
    found: dict[str, BaseDistribution] = {}
    for name, leaf in flatten(of).items():
        match leaf:
            case IntRange(minval=low, maxval=high) if low < high:
                found[name] = IntDistribution(low, high)
            case DoubleRange(minval=low, maxval=high) if low < high:
                found[name] = FloatDistribution(low, high)
            case LogRange(base=base, minval=low, maxval=high) if low < high:
                found[name] = FloatDistribution(base**low, base**high, log=True)
            case Categorical(vals=vals) if len(vals) > 1:
                found[name] = CategoricalDistribution(range(len(vals)))
    return found


def _values(of: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """A proposal in the experiment's own values."""
    leaves = flatten(of)
    return {
        name: leaves[name].vals[value] if isinstance(leaves[name], Categorical) else value
        for name, value in params.items()
    }


def _params(
    of: Mapping[str, Any], dims: Mapping[str, BaseDistribution], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The experiment's values in Optuna's form; what lies outside of a range is left out."""
    leaves, found = flatten(of), {}
    for name, dim in dims.items():
        if name not in values:
            continue
        value, leaf = values[name], leaves[name]
        if isinstance(leaf, Categorical):
            value = leaf.vals.index(value) if value in leaf.vals else None
        elif not isinstance(value, int | float):
            value = None
        if value is not None and dim._contains(dim.to_internal_repr(value)):
            found[name] = value
    return found


def _seed(ask: Ask, *more: int) -> int:
    text = ":".join(map(str, (ask.seed, ask.sampler, *more)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _study(ask: Ask, sampler: BaseSampler) -> Study:
    return optuna.create_study(
        directions=["minimize"] * ask.objectives,
        sampler=sampler,
        storage=optuna.storages.InMemoryStorage(),
    )


def _learned(ask: Ask, dims: Mapping[str, BaseDistribution]) -> Study:
    """A study of all that is known, with a sampler that is about to be asked."""
    seed = _seed(ask, ask.number)
    sampler: BaseSampler
    if ask.sampler == "tpe":
        conditional = any(getattr(leaf, "when", None) for leaf in flatten(ask.space).values())
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=True, group=conditional, constant_liar=True, seed=seed
        )  # fmt: skip
    else:
        try:
            import torch  # Optuna's gp needs it; it is an extra
        except ImportError as error:
            raise SamplerError(f"gp needs the extra shoal-searcher[gp] ({error})") from error
        torch.set_num_threads(1)  # matrices are small: more threads only get in each other's way
        sampler = optuna.samplers.GPSampler(
            n_startup_trials=0, deterministic_objective=False, seed=seed
        )  # fmt: skip
    study = _study(ask, sampler)
    worst = _worst(ask.history, ask.objectives)
    known = [t for o in ask.history if (t := _told(ask, dims, o, worst)) is not None]
    busy = [_trial(dims, _params(ask.space, dims, p), None) for p in ask.pending]
    study.add_trials([*known, *busy])
    return study


def _worst(seen: Sequence[Observation], objectives: int) -> list[float]:
    """For each objective what an infinite cost is told as: worse than all that were seen, by as
    much as they differ. Something huge would make all the others look the same to `gp`."""
    found = []
    for number in range(objectives):
        costs = [o.costs[number] for o in seen if len(o.costs) == objectives]
        good = [cost for cost in costs if math.isfinite(cost)] or [0.0]
        found.append(min(WORST, max(good) + max(max(good) - min(good), 1e-9)))
    return found


def _told(
    ask: Ask, dims: Mapping[str, BaseDistribution], seen: Observation, worst: Sequence[float]
) -> FrozenTrial | None:
    params = _params(ask.space, dims, seen.values)
    if len(seen.costs) != ask.objectives or not params:
        return None
    values = [c if math.isfinite(c) else w for c, w in zip(seen.costs, worst, strict=True)]
    return _trial(dims, params, values)


def _trial(
    dims: Mapping[str, BaseDistribution],
    params: dict[str, Any],
    values: list[float] | None,
    notes: dict[str, Any] | None = None,
) -> FrozenTrial:
    return create_trial(
        state=TrialState.RUNNING if values is None else TrialState.COMPLETE,
        params=params,
        distributions={name: dims[name] for name in params},
        values=values,
        system_attrs=notes,
    )


def _allowed(
    study: Study,
    ask: Ask,
    dims: Mapping[str, BaseDistribution],
    worst: Sequence[float] | None = None,
) -> Trial:
    """A proposal that meets the constraints, if the sampler finds one. Those that break one were
    as bad as `worst`, if it is given: else one that learns would propose them again and again."""
    for _ in range(TRIES):
        trial = study.ask(dict(dims))
        values = nest(_values(ask.space, trial.params), ask.space)
        if space.meets(space.active(ask.space, values), ask.constraints):
            return trial
        study.tell(trial, worst, state=None if worst else TrialState.FAIL)
    return study.ask(dict(dims))


def _whole(
    ask: Ask, dims: Mapping[str, BaseDistribution], seen: Sequence[Observation]
) -> list[FrozenTrial]:
    """Those results that have a value for each of the hyperparameters: crossing and covariance
    take whole configurations."""
    worst = _worst(seen, ask.objectives)
    known = [t for o in seen if (t := _told(ask, dims, o, worst)) is not None]
    return [trial for trial in known if len(trial.params) == len(dims)]


def _cmaes(ask: Ask, dims: Mapping[str, BaseDistribution]) -> Study:
    """A study whose first distribution is of the best tenth of what was known when it was asked
    first: earlier experiments' results, and draws; of a few, the best stands for ten (Nomura et
    al., AAAI 2021, https://arxiv.org/abs/2012.06932)."""
    numbers = {n: d for n, d in dims.items() if not isinstance(d, CategoricalDistribution)}
    known = ask.asks[0][0] if ask.asks else len(ask.told)
    drawn = zip(ask.others, ask.told[:known], strict=False)
    seen = [*ask.history, *(Observation(values, costs) for values, (_, costs) in drawn)]
    earlier = _whole(ask, numbers, seen) if numbers else []
    few = sorted(earlier, key=lambda trial: float(trial.values[0]))[:1] * TENTH
    sources = earlier if len(earlier) >= TENTH else few
    sampler = optuna.samplers.CmaEsSampler(
        n_startup_trials=1, seed=_seed(ask), source_trials=sources or None
    )
    study = _study(ask, sampler)
    study.add_trials(earlier)
    return study


def _nsgaii(ask: Ask, dims: Mapping[str, BaseDistribution]) -> Study:
    """A study whose first generations are the earlier results."""
    sampler = optuna.samplers.NSGAIISampler(population_size=20, seed=_seed(ask))
    study = _study(ask, sampler)
    for past in _whole(ask, dims, ask.history):
        study.enqueue_trial(past.params)
        trial = study.ask(dict(dims))
        sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[trial.number])
        study.tell(trial, past.values)
    return study


class _Study:
    """A study of a sampler that counts on each of its proposals."""

    def __init__(self, ask: Ask, dims: Mapping[str, BaseDistribution]) -> None:
        if ask.sampler == "cmaes":
            self.study = _cmaes(ask, dims)
        else:
            self.study = _nsgaii(ask, dims)
        self.dims, self.question = dims, ask
        self.asked: list[Trial] = []
        self.answers: list[tuple[int, int]] = []
        """As in the question: what each knew, and how many it gave."""
        self.told = self.others = 0

    def tell(self, ask: Ask, known: int) -> None:
        """Tell the first `known` results, as far as they are new."""
        for number, costs in ask.told[self.told : known]:
            values = [c if math.isfinite(c) else WORST for c in costs]
            if number >= 0:
                self.study.tell(self.asked[number], values)
            else:
                self._meet(ask.others[self.others], values)
                self.others += 1
        self.told = max(self.told, known)

    def _meet(self, other: Mapping[str, Any], values: list[float]) -> None:
        """Tell of a configuration that was not the sampler's. Only one that breeds has a use for
        it: it is of the first generation, whose members are drawn as well."""
        params = _params(self.question.space, self.dims, other)
        if self.question.sampler == "nsgaii" and len(params) == len(self.dims):
            self.study.add_trial(_trial(self.dims, params, values, {GENERATION: 0}))

    def ask(self, count: int) -> list[dict[str, Any]]:
        """The next proposals."""
        self.answers.append((self.told, count))
        found = [_allowed(self.study, self.question, self.dims) for _ in range(count)]
        self.asked += found
        return [_values(self.question.space, trial.params) for trial in found]


def _rebuilt(ask: Ask, dims: Mapping[str, BaseDistribution]) -> _Study:
    """The study as it was after the answers before this one, and told what is known now. One that
    was asked elsewhere meanwhile catches up; one whose last answer was never kept begins anew."""
    kept = _studies.pop(ask.experiment_id, None)
    if kept is None or tuple(kept.answers) != ask.asks[: len(kept.answers)]:
        kept = _Study(ask, dims)
    for known, count in ask.asks[len(kept.answers) :]:
        kept.tell(ask, known)
        kept.ask(count)
    kept.tell(ask, len(ask.told))
    _studies[ask.experiment_id] = kept
    while len(_studies) > 1 and sum(len(study.asked) for study in _studies.values()) > KEPT:
        _studies.pop(next(iter(_studies)))
    return kept
