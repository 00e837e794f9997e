"""Drawing configurations from a space of hyperparameters."""

import hashlib
import math
import random
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from shoal_contract.config import Categorical, Const, DoubleRange, IntRange, LogRange
from shoal_contract.parse import range_of


def trial_seed(experiment_seed: int, number: int) -> int:
    """The seed of the `number`-th trial: of its configuration, and of its training.

    It depends on nothing else, so proposals are the same whatever order results come in.
    """
    digest = hashlib.blake2b(f"{experiment_seed}:{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def sample(space: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One configuration, uniform over each range (in the exponent for `log`)."""
    return _sample(space, random.Random(seed))  # noqa: S311 - reproducible, not secret


def _sample(space: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    return {name: _draw(value, rng) for name, value in space.items()}


def _draw(value: Any, rng: random.Random) -> Any:
    match range_of(value):
        case None:
            return _sample(value, rng) if isinstance(value, Mapping) else value
        case Const(val=val):
            return val
        case IntRange(minval=low, maxval=high):
            return rng.randint(low, high)
        case DoubleRange(minval=low, maxval=high):
            return rng.uniform(low, high)
        case LogRange(base=base, minval=low, maxval=high):
            return base ** rng.uniform(low, high)
        case Categorical(vals=vals):
            return vals[rng.randrange(len(vals))]
        case other:
            raise TypeError(f"no way to draw from {other!r}")


def grid_size(space: Mapping[str, Any]) -> int:
    """How many points the grid has."""
    return math.prod(_size(value) for value in space.values())


def grid_point(space: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The `number`-th point of the grid (from 0), the last hyperparameter changing fastest.

    Found by division, as digits are: a grid of millions is never listed.
    """
    point: dict[str, Any] = {}
    for name, value in reversed(list(space.items())):
        number, digit = divmod(number, _size(value))
        point[name] = _point(value, digit)
    return {name: point[name] for name in space}


def _size(value: Any) -> int:
    match range_of(value):
        case None:
            return grid_size(value) if isinstance(value, Mapping) else 1
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
            return grid_point(value, digit) if isinstance(value, Mapping) else value
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


def problem(space: Mapping[str, Any], path: str = "hyperparameters") -> str | None:
    """Why nothing can be drawn from the space, or None if every draw will succeed."""
    for name, value in space.items():
        here = f"{path}.{name}"
        try:
            found = range_of(value)
            if found is None and isinstance(value, Mapping):
                if (inner := problem(value, here)) is not None:
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
