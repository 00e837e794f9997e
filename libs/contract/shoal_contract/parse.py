"""Reading an experiment file, with errors that a person can act on."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from shoal_contract import expressions
from shoal_contract.base import Frozen
from shoal_contract.config import CheckpointStorage, Environment, ExperimentConfig, Resources
from shoal_contract.expressions import ExpressionError
from shoal_contract.ranges import RANGE_TYPES, flatten, outside, range_of
from shoal_contract.searchers import (
    LEARNING,
    SEARCHERS,
    Budget,
    MedianRule,
    Objective,
    Sampled,
    Sampler,
)

_SECTIONS: Mapping[str, tuple[type[BaseModel], ...]] = {
    "": (ExperimentConfig,),
    "searcher.sampler": (Sampler,),
    "searcher.budget": (Budget,),
    "searcher.objectives": (Objective,),
    "searcher.early_stopping": (MedianRule,),
    "resources": (Resources,),
    "checkpoint_storage": (CheckpointStorage,),
    "environment": (Environment,),
}
_METHODS = {get_args(model.model_fields["name"].annotation)[0]: model for model in SEARCHERS}


class Problem(Frozen):
    """One thing that is wrong with a file."""

    path: str
    """Dotted, e.g. `searcher.max_trials`."""
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f" Did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{self.path or 'the file'}: {self.message}.{hint}"


class ConfigError(ValueError):
    """A file that cannot be an experiment; `problems` lists all that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(" ".join(str(p) for p in problems))


def parse_experiment(data: object) -> ExperimentConfig:
    """The experiment that a parsed YAML or JSON document describes.

    Raises ConfigError with every problem found, its path, and a suggestion where one is near.
    """
    if not isinstance(data, Mapping):
        raise ConfigError([Problem(path="", message="must be a mapping of fields to values")])
    try:
        config = ExperimentConfig.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError([_explain(e) for e in error.errors(include_url=False)]) from error
    problems = list(_range_problems(config.hyperparameters, "hyperparameters"))
    if config.searcher.name == "grid" and not problems:
        problems += _grid_problems(config.hyperparameters, "hyperparameters")
    problems = problems or list(_condition_problems(config))
    problems = problems or [*_point_problems(config), *_warm_problems(config)]
    if problems:
        raise ConfigError(problems)
    return config


def _range_problems(space: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name, value in space.items():
        here = f"{path}.{name}"
        if not isinstance(value, Mapping):
            continue
        kind = value.get("type")
        looks_like_range = isinstance(kind, str) and {"minval", "maxval", "vals", "val"} & set(
            value
        )
        if looks_like_range and kind not in RANGE_TYPES:
            near = get_close_matches(str(kind), RANGE_TYPES, n=1)
            message = f"{kind!r} is no kind of range; there are {', '.join(RANGE_TYPES)}"
            yield Problem(
                path=f"{here}.type", message=message, suggestion=near[0] if near else None
            )
            continue
        try:
            if range_of(value) is None:
                yield from _range_problems(value, here)
        except ValidationError as error:
            for e in error.errors(include_url=False):
                loc = ".".join(str(p) for p in e["loc"] if p not in RANGE_TYPES)
                yield Problem(path=f"{here}.{loc}" if loc else here, message=plain(e["msg"]))


def _grid_problems(space: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name, value in space.items():
        found = range_of(value)
        if found is None:
            if isinstance(value, Mapping):
                yield from _grid_problems(value, f"{path}.{name}")
        elif found.type in ("double", "log") and found.count is None:
            message = f"a grid over a {found.type} needs `count`, the number of points"
            yield Problem(path=f"{path}.{name}.count", message=message)


def _condition_problems(config: ExperimentConfig) -> Iterator[Problem]:
    """What is wrong with `constraints`, and with the `when` of ranges, which may only be about
    hyperparameters that come before it in the file."""
    known: list[str] = []
    for name, leaf in flatten(config.hyperparameters).items():
        if (when := getattr(leaf, "when", None)) is not None:
            yield from _condition(when, f"hyperparameters.{name}.when", known)
        known.append(name)
    for number, text in enumerate(config.constraints):
        yield from _condition(text, f"constraints.{number}", known)


def _condition(text: str, path: str, known: Sequence[str]) -> Iterator[Problem]:
    try:
        found = expressions.names(text)
        expressions.holds(text, {})
    except ExpressionError as error:
        yield Problem(path=path, message=str(error))
        return
    for name in found:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            message = f"there is no hyperparameter {name!r} (a `when` must come after it)"
            yield Problem(path=path, message=message, suggestion=near[0] if near else None)


def _point_problems(config: ExperimentConfig) -> Iterator[Problem]:
    known = flatten(config.hyperparameters)
    for number, point in enumerate(getattr(config.searcher, "starting_points", ())):
        path = f"searcher.starting_points.{number}"
        if problems := list(_range_problems(point, path)):
            yield from problems
            continue
        for name, value in flatten(point).items():
            if name not in known:
                near = get_close_matches(name, list(known), n=1)
                message = f"there is no hyperparameter {name!r}"
                yield Problem(path=path, message=message, suggestion=near[0] if near else None)
            elif (where := outside(known[name], value)) is not None:
                yield Problem(path=path, message=f"{name} is {value!r}, {where}")


def _warm_problems(config: ExperimentConfig) -> Iterator[Problem]:
    searcher = config.searcher
    if (
        isinstance(searcher, Sampled)
        and searcher.warm_start
        and searcher.sampler.name not in LEARNING
    ):
        message = (
            f"the sampler {searcher.sampler.name} learns from no results; {', '.join(LEARNING)} do"
        )
        yield Problem(path="searcher.warm_start", message=message)


def _explain(error: Any) -> Problem:
    loc, method = [str(part) for part in error["loc"]], ""
    if len(loc) > 1 and loc[0] == "searcher":
        method = loc.pop(1)  # the discriminator's tag, which the file does not show
    section = ".".join(part for part in loc[:-1] if not part.isdigit())
    field = loc[-1] if loc else ""
    models = (_METHODS[method],) if section == "searcher" else _SECTIONS.get(section, ())
    known = sorted({name for model in models for name in model.model_fields})
    suggestion = None
    message = plain(error["msg"])
    if error["type"] == "extra_forbidden":
        message = "there is no such field"
        near = get_close_matches(field, known, n=1)
        suggestion = near[0] if near else None
    elif error["type"] == "literal_error":
        listed = error["ctx"]["expected"].split("'")[1::2]
        near = get_close_matches(str(error["input"]), listed, n=1)
        suggestion = near[0] if near else None
    elif error["type"] == "missing":
        message = "this field is required"
    elif error["type"] == "union_tag_invalid":
        loc.append("name")
        tags = str(error["ctx"]["expected_tags"]).replace("'", "")
        message = f"{error['ctx']['tag']!r} is no search method; there are {tags}"
        near = get_close_matches(error["ctx"]["tag"], tags.split(", "), n=1)
        suggestion = near[0] if near else None
    elif error["type"] == "union_tag_not_found":
        loc.append("name")
        message = "this field is required"
    return Problem(path=".".join(loc), message=message, suggestion=suggestion)


def plain(message: str) -> str:
    """What pydantic says of a value, as a part of a sentence.

    >>> plain("Value error, It must be even")
    'it must be even'
    """
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
