"""One thing that was looked at."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do."""

    what: str
    state: Literal["ok", "warn", "fail"]
    text: str
    todo: str = ""


def ok(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(what, "ok", text)


def warn(what: str, text: str, todo: str) -> Finding:
    """It will work, but perhaps not as one thinks."""
    return Finding(what, "warn", text, todo)


def fail(what: str, text: str, todo: str) -> Finding:
    """It will not work."""
    return Finding(what, "fail", text, todo)
