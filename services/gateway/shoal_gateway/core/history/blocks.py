"""Reports of one experiment, column by column, as bytes: what Redis holds of the newest points.

A block begins with the sequence of its last event (8 bytes, big-endian), by which it is dropped.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,95}$")]
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Point = tuple[str, float, int, int]
"""Name, value, step, and Unix milliseconds."""
Kind = tuple[str, str, tuple[str, ...]]
"""Group, source and the names of the numbers."""


class Report(msgspec.Struct, gc=False):
    """What a `metric.…` event says, of all that it holds."""

    experiment_id: _Id
    trial_id: _Id
    attempt: _Int
    step: _Int
    metrics: dict[str, float]
    at: float
    time: _Int | None = None
    group: str = ""
    """Empty: as the stream's."""
    source: str = ""


class _Earlier(msgspec.Struct, gc=False):
    """A report that came before one, and is told with it."""

    step: _Int
    metrics: dict[str, float]
    at: float


class _Told(Report, gc=False):
    """A report with those that are told with it."""

    earlier: list[_Earlier] = []

    def reports(self) -> list[Report]:
        """All of them, the oldest first."""
        return [*map(self._one, self.earlier), self]

    def _one(self, its: _Earlier) -> Report:
        return Report(
            self.experiment_id, self.trial_id, self.attempt, its.step, its.metrics, its.at,
            group=self.group, source=self.source,
        )  # fmt: skip


class Block(msgspec.Struct, array_like=True, gc=False):
    """Columns of equal length; `trial` and `kind` are places in `trials` and `kinds`."""

    trials: list[str] = []
    kinds: list[Kind] = []
    sequence: list[int] = []
    trial: list[int] = []
    kind: list[int] = []
    attempt: list[int] = []
    step: list[int] = []
    time: list[int | None] = []
    at: list[float] = []
    values: list[list[float]] = []


class _Logged(msgspec.Struct, gc=False):
    """What a `metric.logged` event says."""

    experiment_id: _Id
    run_id: _Id
    points: list[tuple[str, float, _Int, _Int]]


_TOLD = msgspec.json.Decoder(_Told)
_LOGGED = msgspec.json.Decoder(_Logged)
_BLOCK = msgspec.msgpack.Decoder(Block)
_ENCODER = msgspec.msgpack.Encoder()
FEW = 8
"""Trials that are looked for in a block before it is read."""
HEAD = 8
"""Bytes before a block's columns."""


def decode_reports(body: bytes) -> list[Report] | None:
    """The reports in an event's JSON; None if it has to be looked at more closely (as when it
    holds NaN, for which JSON has no number)."""
    try:
        return _TOLD.decode(body).reports()
    except msgspec.MsgspecError:
        return None


def reports_of(fields: Mapping[str, Any]) -> list[Report]:
    """The reports in an event's fields."""
    return msgspec.convert(fields, _Told).reports()


def decode_logged(body: bytes) -> list[Report] | None:
    """As `decode_reports`, for an event with points of a run."""
    try:
        found = _LOGGED.decode(body)
    except msgspec.MsgspecError:
        return None
    return logged(found.experiment_id, found.run_id, found.points)


def logged(experiment_id: str, run_id: str, points: Iterable[Point]) -> list[Report]:
    """The points of a run as reports of a trial: those of one moment together, but for a name
    that comes twice."""
    moments: dict[tuple[int, int], list[dict[str, float]]] = {}
    for name, value, step, milliseconds in points:
        moment = moments.get((step, milliseconds))
        if moment is None:
            moments[step, milliseconds] = [{name: value}]
        elif name in moment[-1]:
            moment.append({name: value})
        else:
            moment[-1][name] = value
    return [
        Report(experiment_id, run_id, 1, step, metrics, milliseconds / 1000)
        for (step, milliseconds), parts in moments.items()
        for metrics in parts
    ]


class Builder:
    """Puts the reports of one batch into blocks, one for each experiment."""

    def __init__(self, group: str, *, apart: bool = False) -> None:
        """`apart`: one for each trial, so that who asks for one need not read the others'."""
        self._group, self._apart = group, apart
        self._open: dict[tuple[str, str], tuple[Block, dict[str, int], dict[Kind, int]]] = {}

    def add(self, sequence: int, report: Report) -> None:
        """Add the report that has this place in its stream; places only grow."""
        its = (report.experiment_id, report.trial_id if self._apart else "")
        found = self._open.get(its)
        if found is None:
            found = self._open[its] = (Block(), {}, {})
        block, trials, kinds = found
        kind = (report.group or self._group, report.source, tuple(report.metrics))
        block.sequence.append(sequence)
        block.trial.append(trials.setdefault(report.trial_id, len(trials)))
        block.kind.append(kinds.setdefault(kind, len(kinds)))
        block.attempt.append(report.attempt)
        block.step.append(report.step)
        block.time.append(report.time)
        block.at.append(report.at)
        block.values.append(list(report.metrics.values()))

    def blocks(self) -> Iterator[tuple[str, bytes]]:
        """Each experiment with its block or blocks, in the order in which they can be dropped."""
        ended = sorted(self._open.items(), key=lambda item: item[1][0].sequence[-1])
        for (experiment_id, _), (block, trials, kinds) in ended:
            block.trials, block.kinds = list(trials), list(kinds)
            head = block.sequence[-1].to_bytes(HEAD, "big")
            yield experiment_id, head + _ENCODER.encode(block)


@dataclass(slots=True)
class Columns:
    """Reports of one kind: equally long columns, and of each report its numbers."""

    trial: list[str] = field(default_factory=list)
    attempt: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    time: list[int | None] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)


Wanted = Callable[[Kind], bool]


def by_kind(
    texts: Iterable[bytes],
    after: int,
    wanted: Wanted | None = None,
    trials: Collection[str] | None = None,
) -> dict[Kind, Columns]:
    """The reports in blocks whose sequences are greater than `after`: of some kinds and some
    trials, or of all."""
    found: dict[Kind, Columns] = {}
    # To look for a few names in a block is much less work than to read it.
    few = None if trials is None or len(trials) > FEW else [name.encode() for name in trials]
    for text in texts:
        if int.from_bytes(text[:HEAD], "big") <= after:
            continue
        if few is not None and not any(name in text for name in few):
            continue
        block = _BLOCK.decode(memoryview(text)[HEAD:])
        its = {n for n, name in enumerate(block.trials) if trials is None or name in trials}
        first = bisect_right(block.sequence, after)
        for number, kind in enumerate(block.kinds):
            if its and (wanted is None or wanted(kind)):
                whole = not first and len(block.kinds) == 1 and len(its) == len(block.trials)
                places = None if whole else _places(block, first, number, its)
                if whole or places:
                    _extend(found.setdefault(kind, Columns()), block, places)
    return found


def _places(block: Block, first: int, kind: int, trials: set[int]) -> list[int]:
    """The places of reports of a kind and of some trials, from a place on."""
    pairs = enumerate(zip(block.kind, block.trial, strict=True))
    return [n for n, (k, t) in pairs if k == kind and t in trials and n >= first]


def _extend(columns: Columns, block: Block, places: list[int] | None) -> None:
    """Add the reports in some places of a block; None: in all."""
    trials = block.trial if places is None else [block.trial[n] for n in places]
    columns.trial += [block.trials[n] for n in trials]
    for name in ("attempt", "step", "time", "at", "sequence", "values"):
        column = getattr(block, name)
        getattr(columns, name).extend(column if places is None else [column[n] for n in places])
