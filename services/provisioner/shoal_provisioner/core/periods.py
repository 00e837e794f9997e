"""Clock hours and days (UTC): the periods of budgets."""

from collections.abc import Mapping
from typing import Literal

Period = Literal["hour", "day"]
SECONDS: Mapping[Period, float] = {"hour": 3600.0, "day": 86400.0}


def period_of(name: Period, at: float) -> int:
    """The number, since 1970, of the hour or day in which a time lies."""
    return int(at // SECONDS[name])


def next_hour(at: float) -> float:
    """When the hour in which a time lies ends."""
    return (period_of("hour", at) + 1) * 3600.0
