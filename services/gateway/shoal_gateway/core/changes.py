"""What an event does to the read models, as data. The shell carries it out, all or nothing."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

Json = Any
"""What JSON can say."""


@dataclass(frozen=True, slots=True)
class SetFields:
    """Set fields of a row; the others stay as they are."""

    key: str
    fields: dict[str, Json]


@dataclass(frozen=True, slots=True)
class RemoveField:
    """Remove a field of a row, if it is there."""

    key: str
    field: str


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to a number in a row; a missing one counts as 0."""

    key: str
    field: str
    by: float = 1


@dataclass(frozen=True, slots=True)
class KeepBest:
    """Keep, in a field of a row, the value with the least (or greatest) `metric`; ties stay."""

    key: str
    field: str
    metric: float
    smaller: bool
    value: dict[str, Json]


@dataclass(frozen=True, slots=True)
class AddToIndex:
    """Put a member into an ordered set."""

    index: str
    member: str
    score: float


@dataclass(frozen=True, slots=True)
class Append:
    """Add an item to a list; only the newest `keep` stay (0: all do)."""

    key: str
    item: Json
    keep: int = 0


@dataclass(frozen=True, slots=True)
class SetCounted:
    """Set a field of a row to a text; another row counts how many fields have each text."""

    key: str
    counts: str
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove all that belongs to an experiment, and let nothing of it come back."""

    experiment_id: str
    trial_ids: tuple[str, ...] = ()
    """Trials of it that its index may not hold."""


Change = SetFields | RemoveField | Increment | KeepBest | AddToIndex | Append | SetCounted | Delete


@dataclass(frozen=True, slots=True)
class Of:
    """A change to what belongs to an experiment. It is not made once that was deleted."""

    experiment_id: str
    change: Change


def finite(value: Json) -> Json:
    """The same with NaN and infinities as strings, since JSON has no numbers for them."""
    if isinstance(value, float) and not isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value
