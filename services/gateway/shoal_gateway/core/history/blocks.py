"""Reports of one experiment, column by column, as bytes: what Redis holds of the newest points.

A block begins with the sequence of its last event (8 bytes, big-endian), by which it is dropped.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec

from shoal_contract.events import MetricLogged

_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,95}$")]
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
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


_REPORT = msgspec.json.Decoder(Report)
_BLOCK = msgspec.msgpack.Decoder(Block)
_ENCODER = msgspec.msgpack.Encoder()
HEAD = 8
"""Bytes before a block's columns."""


def decode_report(body: bytes) -> Report | None:
    """The report in an event's JSON; None if it has to be looked at more closely (as when it
    holds NaN, for which JSON has no number)."""
    try:
        return _REPORT.decode(body)
    except msgspec.MsgspecError:
        return None


def logged(event: MetricLogged) -> list[Report]:
    """The points of a run as reports of a trial: those of one moment together, but for a name
    that comes twice."""
    found: dict[tuple[int, int], list[dict[str, float]]] = {}
    for name, value, step, milliseconds in event.points:
        moment = found.setdefault((step, milliseconds), [{}])
        if name in moment[-1]:
            moment.append({})
        moment[-1][name] = value
    return [
        Report(
            experiment_id=event.experiment_id,
            trial_id=event.run_id,
            attempt=1,
            step=step,
            metrics=metrics,
            at=milliseconds / 1000,
        )
        for (step, milliseconds), parts in found.items()
        for metrics in parts
    ]


class Builder:
    """Puts the reports of one batch into blocks, one for each experiment."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._open: dict[str, tuple[Block, dict[str, int], dict[Kind, int]]] = {}

    def add(self, sequence: int, report: Report) -> None:
        """Add the report that has this place in its stream; places only grow."""
        found = self._open.get(report.experiment_id)
        if found is None:
            found = self._open[report.experiment_id] = (Block(), {}, {})
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
        """Each experiment with its block."""
        for experiment_id, (block, trials, kinds) in self._open.items():
            block.trials, block.kinds = list(trials), list(kinds)
            head = block.sequence[-1].to_bytes(HEAD, "big")
            yield experiment_id, head + _ENCODER.encode(block)


def columns(texts: Iterable[bytes], after: int) -> dict[str, list[Any]]:
    """The reports in blocks whose sequences are greater than `after`, as one set of columns."""
    found: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for text in texts:
        if int.from_bytes(text[:HEAD], "big") <= after:
            continue
        block = _BLOCK.decode(memoryview(text)[HEAD:])
        start = next(i for i, sequence in enumerate(block.sequence) if sequence > after)
        kinds = [block.kinds[i] for i in block.kind[start:]]
        found["trial"] += [block.trials[i] for i in block.trial[start:]]
        found["group"] += [kind[0] for kind in kinds]
        found["source"] += [kind[1] for kind in kinds]
        found["name"] += [kind[2] for kind in kinds]
        found["value"] += block.values[start:]
        for name in ("attempt", "step", "time", "at", "sequence"):
            found[name] += getattr(block, name)[start:]
    return found


_COLUMNS = (
    "trial", "group", "source", "name", "value", "attempt", "step", "time", "at", "sequence",
)  # fmt: skip
