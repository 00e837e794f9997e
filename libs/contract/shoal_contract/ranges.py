"""What a hyperparameter may be: a fixed value, or a range, always or on a condition."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from shoal_contract.base import Strict


class _Range(Strict):
    when: str | None = None
    """A condition on other hyperparameters, e.g. `optimizer == 'sgd'`: where it does not hold,
    the hyperparameter is left out. See `shoal_contract.expressions`."""


class Const(_Range):
    """A fixed value. A bare value in the file means the same."""

    type: Literal["const"]
    val: Any


class _Numbers(_Range):
    count: int | None = Field(default=None, ge=1)
    """Points of it in a grid."""

    @model_validator(mode="after")
    def _ordered(self) -> "_Numbers":
        low, high = getattr(self, "minval", 0), getattr(self, "maxval", 0)
        if low > high:
            raise ValueError(f"minval ({low}) must not exceed maxval ({high})")
        return self


class IntRange(_Numbers):
    """A whole number, uniform over [minval, maxval]."""

    type: Literal["int"]
    minval: int
    maxval: int


class DoubleRange(_Numbers):
    """A real number, uniform over [minval, maxval]."""

    type: Literal["double"]
    minval: float = Field(allow_inf_nan=False)
    maxval: float = Field(allow_inf_nan=False)


class LogRange(_Numbers):
    """`base ** x` with x uniform over [minval, maxval]: minval and maxval are exponents."""

    type: Literal["log"]
    base: float = Field(default=10.0, gt=1, allow_inf_nan=False)
    minval: float = Field(allow_inf_nan=False)
    maxval: float = Field(allow_inf_nan=False)


class Categorical(_Range):
    """One of the listed values."""

    type: Literal["categorical"]
    vals: list[Any] = Field(min_length=1)


Range = Annotated[
    Const | IntRange | DoubleRange | LogRange | Categorical, Field(discriminator="type")
]
RANGE_TYPES = ("const", "int", "double", "log", "categorical")
_RANGE: TypeAdapter[Any] = TypeAdapter(Range)


def range_of(value: Any) -> Any:
    """The range that a hyperparameter's entry is, or None for a bare value or a nested mapping.

    A mapping is a range when it has a `type` that names one. Raises pydantic's ValidationError
    when such a mapping is not well formed.
    """
    if isinstance(value, Mapping) and value.get("type") in RANGE_TYPES:
        return _RANGE.validate_python(dict(value))
    return None


def outside(leaf: Any, value: Any) -> str | None:
    """In which way a value lies outside of a range; None: it does not, or `leaf` is no range.

    >>> outside(IntRange(type="int", minval=2, maxval=9), 12)
    'outside of its range, 2 to 9'
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match leaf:
        case IntRange(minval=low, maxval=high):
            inside = isinstance(value, int) and number and low <= value <= high
            return None if inside else f"outside of its range, {low} to {high}"
        case DoubleRange(minval=low, maxval=high):
            inside = number and low <= value <= high
            return None if inside else f"outside of its range, {low:g} to {high:g}"
        case LogRange(base=base, minval=low, maxval=high):
            # 1e-9: 0.001 need not be 10 ** -3 to the last digit.
            inside = number and value > 0 and low - 1e-9 <= math.log(value, base) <= high + 1e-9
            return (
                None if inside else f"outside of its range, {base:g}^{low:g} to {base:g}^{high:g}"
            )
        case Categorical(vals=vals):
            return None if value in vals else f"which is none of {', '.join(map(repr, vals))}"
        case _:
            return None


def flatten(space: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf by its dotted name: a range as its model, a bare value as it is.

    >>> flatten({"opt": {"lr": 0.1}, "width": 8})
    {'opt.lr': 0.1, 'width': 8}
    """
    found: dict[str, Any] = {}
    for name, value in space.items():
        kind = range_of(value)
        if kind is not None:
            found[f"{prefix}{name}"] = kind
        elif isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def nest(flat: Mapping[str, Any], like: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted names, put where `like` has them; what is not in `flat` is left out.

    >>> nest({"opt.lr": 0.2}, {"opt": {"lr": 0.1}, "width": 8})
    {'opt': {'lr': 0.2}}
    """
    found: dict[str, Any] = {}
    for name, value in like.items():
        if isinstance(value, Mapping) and range_of(value) is None:
            found[name] = nest(flat, value, f"{prefix}{name}.")
        elif f"{prefix}{name}" in flat:
            found[name] = flat[f"{prefix}{name}"]
    return found
