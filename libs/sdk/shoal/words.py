"""Numbers and times as people say them. Pure, but for the time zone."""

import time


def counted(count: int, one: str, several: str = "") -> str:
    """How many there are of something.

    >>> counted(1, "node"), counted(2, "node"), counted(0, "study", "studies")
    ('1 node', '2 nodes', '0 studies')
    """
    return f"{count} {one if count == 1 else several or one + 's'}"


def moment(seconds: float) -> str:
    """Unix seconds as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
