"""Drawing configurations from a space of hyperparameters."""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from shoal_contract import expressions
from shoal_contract.config import ExperimentConfig
from shoal_contract.ranges import (
    Categorical,
    Const,
    DoubleRange,
    IntRange,
    LogRange,
    flatten,
    range_of,
)
from shoal_searcher.core.halton import Point

TRIES = 1000
"""Draws after which constraints are taken to be impossible to meet."""

LARGEST_CUT = 20_000
"""Points of a grid with constraints or conditions, each of which is looked at."""


def trial_seed(experiment_seed: int, number: int) -> int:
    """The seed of the `number`-th trial: of its configuration, and of its training.

    It depends on nothing else, so proposals are the same whatever order results come in.
    """
    digest = hashlib.blake2b(f"{experiment_seed}:{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def sample(
    space: Mapping[str, Any], seed: int, number: int = 0, constraints: Sequence[str] = ()
) -> dict[str, Any]:
    """The `number`-th configuration, uniform over each range (in the exponent for `log`), drawn
    again until it meets the constraints. If that cannot be, it is the first one that does.

    Raises LookupError if none does; see `problem`.
    """
    for first in (number, 0):
        rng = random.Random(trial_seed(seed, first))  # noqa: S311 - reproducible, not secret
        for _ in range(TRIES):
            drawn = active(space, draw(space, rng))
            if meets(drawn, constraints):
                return drawn
    raise LookupError(f"no configuration of {TRIES} meets the constraints")


def spread(
    space: Mapping[str, Any], seed: int, number: int, constraints: Sequence[str] = ()
) -> dict[str, Any]:
    """The `number`-th of configurations that are spread evenly over the space (in the exponent for
    `log`). In the place of one that breaks a constraint there is the `number`-th of `sample`.

    Raises LookupError if none meets the constraints.
    """
    values = active(space, draw(space, Point(seed, number)))
    return values if meets(values, constraints) else sample(space, seed, number, constraints)


def meets(values: Mapping[str, Any], constraints: Sequence[str]) -> bool:
    """Whether no constraint is broken. One about what is not there is none."""
    return all(expressions.holds(text, values) is not False for text in constraints)


def active(space: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those whose `when` does not hold of what is left before them."""
    left = dict(values)
    for name, leaf in flatten(space).items():
        when = getattr(leaf, "when", None)
        if when is not None and not expressions.holds(when, left):
            left = _without(left, name.split("."))
    return left


def _without(values: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {name: value for name, value in values.items() if name != head}
    below = values.get(head)
    return {**values, head: _without(below, rest)} if isinstance(below, Mapping) else dict(values)


def draw(space: Mapping[str, Any], rng: random.Random | Point) -> dict[str, Any]:
    """One value for each hyperparameter, whatever its `when` says."""
    return {name: _draw(value, rng) for name, value in space.items()}


def _draw(value: Any, rng: random.Random | Point) -> Any:
    match range_of(value):
        case None:
            return draw(value, rng) if isinstance(value, Mapping) else value
        case Const(val=val):
            return val
        case IntRange(minval=low, maxval=high):
            return low + rng.randrange(high - low + 1)
        case DoubleRange(minval=low, maxval=high):
            return rng.uniform(low, high)
        case LogRange(base=base, minval=low, maxval=high):
            return base ** rng.uniform(low, high)
        case Categorical(vals=vals):
            return vals[rng.randrange(len(vals))]
        case other:
            raise TypeError(f"no way to draw from {other!r}")


def grid_size(space: Mapping[str, Any], constraints: Sequence[str] = ()) -> int:
    """How many points the grid has."""
    if _cut(space, constraints):
        return len(_allowed(_Grid(space, tuple(constraints))))
    return _whole(space)


def _whole(space: Mapping[str, Any]) -> int:
    return math.prod(_size(value) for value in space.values())


def grid_point(
    space: Mapping[str, Any], number: int, constraints: Sequence[str] = ()
) -> dict[str, Any]:
    """The `number`-th point of the grid (from 0), the last hyperparameter changing fastest.

    Found by division, as digits are: a grid of millions is never listed, unless there are
    constraints or conditions.
    """
    if _cut(space, constraints):
        number = _allowed(_Grid(space, tuple(constraints)))[number]
    return active(space, _grid_point(space, number))


class _Grid:
    """A grid that is not whole, as a key: equal if it is written the same."""

    def __init__(self, space: Mapping[str, Any], constraints: tuple[str, ...]) -> None:
        self.space, self.constraints = space, constraints
        self._key = repr((space, constraints))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Grid) and other._key == self._key


def _cut(space: Mapping[str, Any], constraints: Sequence[str]) -> bool:
    leaves = flatten(space).values()
    return bool(constraints) or any(getattr(leaf, "when", None) for leaf in leaves)


@lru_cache(maxsize=64)
def _allowed(grid: _Grid) -> list[int]:
    """The numbers of the points that meet the constraints, each configuration once."""
    found: dict[str, int] = {}
    for number in range(_whole(grid.space)):
        point = active(grid.space, _grid_point(grid.space, number))
        if meets(point, grid.constraints):
            found.setdefault(repr(point), number)
    return list(found.values())


def _grid_point(space: Mapping[str, Any], number: int) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for name, value in reversed(list(space.items())):
        number, digit = divmod(number, _size(value))
        point[name] = _point(value, digit)
    return {name: point[name] for name in space}


def _size(value: Any) -> int:
    match range_of(value):
        case None:
            return _whole(value) if isinstance(value, Mapping) else 1
        case Categorical(vals=vals):
            return len(vals)
        case IntRange(minval=low, maxval=high, count=count):
            return min(count or high - low + 1, high - low + 1)
        case DoubleRange(count=count) | LogRange(count=count):
            return count or 1
        case _:
            return 1


def _point(value: Any, digit: int) -> Any:
    match range_of(value):
        case None:
            return _grid_point(value, digit) if isinstance(value, Mapping) else value
        case Const(val=val):
            return val
        case Categorical(vals=vals):
            return vals[digit]
        case IntRange(minval=low, maxval=high):
            gaps = _size(value) - 1
            if gaps == 0:
                return (low + high) // 2
            return low + (2 * (high - low) * digit + gaps) // (2 * gaps)
        case DoubleRange(minval=low, maxval=high, count=count):
            return _spread(low, high, count or 1, digit)
        case LogRange(base=base, minval=low, maxval=high, count=count):
            return base ** _spread(low, high, count or 1, digit)
        case other:
            raise TypeError(f"no grid over {other!r}")


def _spread(low: float, high: float, count: int, digit: int) -> float:
    """The `digit`-th of `count` points from `low` to `high`; one point lies in the middle."""
    return (low + high) / 2 if count == 1 else low + (high - low) * digit / (count - 1)


def problem_of(config: ExperimentConfig) -> str | None:
    """Why an experiment cannot be searched, or None."""
    grid = config.searcher.name == "grid"
    return problem(config.hyperparameters, config.seed, config.constraints, grid=grid)


def problem(
    space: Mapping[str, Any], seed: int = 0, constraints: Sequence[str] = (), *, grid: bool = False
) -> str | None:
    """Why nothing can be drawn from the space (why it has no grid), or None if every draw with
    this seed succeeds (if it has one)."""
    if (why := _range_problem(space, "hyperparameters")) is not None:
        return why
    try:
        if grid:
            return _grid_problem(space, constraints)
        sample(space, seed, 0, constraints)
    except LookupError as error:
        return f"constraints: {error}; make them weaker, or the ranges narrower"
    except expressions.ExpressionError as error:
        return f"constraints: {error}"
    return None


def _grid_problem(space: Mapping[str, Any], constraints: Sequence[str]) -> str | None:
    if not _cut(space, constraints):
        return None
    if (points := _whole(space)) > LARGEST_CUT:
        return (
            f"hyperparameters: a grid of {points} points is too large for constraints or `when`;"
            f" at most {LARGEST_CUT} are looked through"
        )
    if grid_size(space, constraints) == 0:
        return f"constraints: none of the grid's {points} points meets them; make them weaker"
    return None


def _range_problem(space: Mapping[str, Any], path: str) -> str | None:
    for name, value in space.items():
        here = f"{path}.{name}"
        try:
            found = range_of(value)
            if found is None and isinstance(value, Mapping):
                if (inner := _range_problem(value, here)) is not None:
                    return inner
            elif isinstance(found, LogRange):
                _ = found.base**found.maxval
            elif isinstance(found, DoubleRange) and math.isinf(found.maxval - found.minval):
                return f"{here}: the range is too wide for a float"
        except OverflowError:
            return f"{here}: base ** maxval is too large for a float"
        except ValidationError as error:
            return f"{here}: {error.errors(include_url=False)[0]['msg']}"
    return None
