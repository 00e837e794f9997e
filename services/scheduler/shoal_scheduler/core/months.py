"""Calendar months, in UTC."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache


def month_of(at: float) -> str:
    """The month of a time in Unix seconds, as `2026-11`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def following(month: str) -> str:
    """The month that comes next."""
    return (_begin(month) + timedelta(days=32)).strftime("%Y-%m")


def seconds_in(month: str, since: float, until: float) -> float:
    """How much of a span of time, in Unix seconds, lies in a month."""
    begin, end = _bounds(month)
    return max(0.0, min(until, end) - max(since, begin))


@lru_cache(maxsize=16)
def _bounds(month: str) -> tuple[float, float]:
    return _begin(month).timestamp(), _begin(following(month)).timestamp()


def _begin(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
