"""Drawing configurations from a space of hyperparameters."""

import hashlib
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

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


def grid(space: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every point of the grid, the last hyperparameter changing fastest."""
    names = list(space)
    for point in itertools.product(*(_points(space[name]) for name in names)):
        yield dict(zip(names, point, strict=True))


def grid_size(space: Mapping[str, Any]) -> int:
    """How many points `grid` has."""
    return math.prod(
        grid_size(v) if range_of(v) is None and isinstance(v, Mapping) else len(_points(v))
        for v in space.values()
    )


def _points(value: Any) -> list[Any]:
    match range_of(value):
        case None:
            return list(grid(value)) if isinstance(value, Mapping) else [value]
        case Const(val=val):
            return [val]
        case Categorical(vals=vals):
            return list(vals)
        case IntRange(minval=low, maxval=high, count=count):
            whole = high - low + 1
            if count is None or count >= whole:
                return list(range(low, high + 1))
            return list(dict.fromkeys(round(x) for x in _spread(low, high, count)))
        case DoubleRange(minval=low, maxval=high, count=count):
            return _spread(low, high, count or 1)
        case LogRange(base=base, minval=low, maxval=high, count=count):
            return [base**x for x in _spread(low, high, count or 1)]
        case other:
            raise TypeError(f"no grid over {other!r}")


def _spread(low: float, high: float, count: int) -> list[float]:
    if count == 1:
        return [(low + high) / 2]
    return [low + (high - low) * i / (count - 1) for i in range(count)]
