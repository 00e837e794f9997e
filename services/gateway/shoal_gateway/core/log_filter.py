"""Which lines of a log are wanted."""

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from shoal_contract.events import LogWritten

LEVELS = ("debug", "info", "warning", "error", "critical")
_LEVEL = re.compile(r"\b(DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b|^(\w*Error|Traceback)\b")
_SAME = {"warn": "warning", "fatal": "critical"}
HEAD = 100
"""Characters of a line in which its level is looked for."""


class PatternError(ValueError):
    """A text that is no regular expression; says what is wrong with it."""


class LogFilter:
    """Lines of a rank and a stream, of a level or a graver one, that match a text.

    A line that names no level has that of the line before it, and the first is `info`. A regular
    expression takes time in proportion to the text, whatever it says (it has no look-around and no
    back-references: https://docs.rs/regex/latest/regex/#syntax).
    """

    def __init__(
        self,
        *,
        rank: int | None = None,
        stream: str | None = None,
        level: str | None = None,
        search: str | None = None,
        regex: str | None = None,
    ) -> None:
        """Raises PatternError."""
        self._rank, self._stream = rank, stream
        self._least = LEVELS.index(level) if level is not None else 0
        self._search, self._regex = search, regex
        self._last: dict[tuple[str, int, str], int] = {}
        if regex is not None:
            try:
                _matches([""], regex, literal=False)
            except pl.exceptions.PolarsError as error:
                raise PatternError(_why(regex, str(error))) from error

    def begin(self) -> None:
        """Read another part of the log: no line is before the next one."""
        self._last.clear()

    def items(self, sequence: int, event: LogWritten) -> list[dict[str, Any]]:
        """What is wanted of a piece: its lines, in parts where some between are not. `sequence` is
        the piece's place in its stream."""
        if self._rank not in (None, event.rank) or self._stream not in (None, event.stream):
            return []
        wanted = [True] * len(event.lines)
        if self._least:
            wanted = [level >= self._least for level in self._levels(event)]
        for pattern, literal in ((self._search, True), (self._regex, False)):
            if pattern is not None:
                found = _matches(event.lines, pattern, literal=literal)
                wanted = [a and b for a, b in zip(wanted, found, strict=True)]
        common = event.model_dump(exclude={"experiment_id", "allocation_id", "lines", "sequence"})
        return [
            common
            | {
                "lines": event.lines[first:last],
                "sequence": event.sequence + first,
                "id": sequence,
            }
            for first, last in _runs(wanted)
        ]

    def _levels(self, event: LogWritten) -> list[int]:
        key = (event.trial_id, event.rank, event.stream)
        last, found = self._last.get(key, LEVELS.index("info")), []
        for line in event.lines:
            if (match := _LEVEL.search(line[:HEAD])) is not None:
                name = (match[1] or "error").lower()
                last = LEVELS.index(_SAME.get(name, name))
            found.append(last)
        self._last[key] = last
        return found


def _matches(lines: Sequence[str], pattern: str, *, literal: bool) -> list[bool]:
    texts = pl.Series(lines, dtype=pl.String)
    return texts.str.contains(pattern, literal=literal).to_list()


def _runs(wanted: Sequence[bool]) -> list[tuple[int, int]]:
    """Where stretches of True begin and end."""
    found: list[tuple[int, int]] = []
    for place, one in enumerate(wanted):
        if one and found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        elif one:
            found.append((place, place + 1))
    return found


def _why(regex: str, said: str) -> str:
    """What the parser said, which draws a picture as well, as a sentence."""
    named = [line for line in said.splitlines() if line.startswith("error: ")]
    why = (named or said.splitlines())[-1 if named else 0]
    why = why.removeprefix("regex ").removeprefix("error: ").rstrip(".")
    return f"{regex!r} is no regular expression: {why}."
