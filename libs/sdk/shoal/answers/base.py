"""What several answers have."""

from typing import Any, Literal, NotRequired, TypedDict

Number = float | Literal["NaN", "Infinity", "-Infinity"]
"""A number, or the name of one that JSON does not have."""
Row = dict[str, Any]
"""A JSON object of any fields: a config, or hyperparameters."""


class Nothing(TypedDict):
    """The answer to what leaves nothing to be said."""


class FieldError(TypedDict):
    """What is wrong with a field."""

    path: str
    message: str
    suggestion: NotRequired[str | None]


class Event(TypedDict):
    """Something that happened."""

    id: str
    type: str
    """E.g. `trial.paused`; `shoal events schema` has what the `data` of each holds."""
    time: float
    source: str
    cause: str | None
    data: Row
