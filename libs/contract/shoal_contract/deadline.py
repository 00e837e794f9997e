"""When an experiment is to be done: a time, or how long after its submission."""

import re
from datetime import UTC, datetime

_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def deadline_at(text: str, submitted_at: float) -> float:
    """The Unix time that a `deadline` means: an ISO 8601 time (UTC where it names no zone), or
    days, hours, minutes and seconds after the submission. Raises ValueError if it is neither.

    >>> deadline_at("8h", 0.0), deadline_at("1d12h30m", 0.0)
    (28800.0, 131400.0)
    >>> deadline_at("1970-01-01T01:00:00+00:00", 5.0)
    3600.0
    """
    compact = "".join(text.split())
    parts = _PART.findall(compact)
    if parts and "".join(number + unit for number, unit in parts) == compact:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        if seconds > 0:
            return submitted_at + seconds
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no deadline: give a length such as `8h` or `1d12h`, or a time such as"
            " `2030-01-31T18:00:00Z`"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
