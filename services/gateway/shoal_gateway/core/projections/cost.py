"""What machines cost, and what for: sums by day, pool, kind of machine, experiment and use.

The provisioner's intervals follow one another from a machine's start to its end, so every second of
it is in one of the sums. Slots that nobody held are idle; work that was lost is taken from what
was used.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from shoal_contract.envelope import Envelope
from shoal_contract.events.instance import InstanceMetered, WorkLost
from shoal_contract.ids import experiment_of
from shoal_gateway.core import keys
from shoal_gateway.core.changes import AddToIndex, Change, Increment

DAY = 86400.0


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to what things cost."""
    event = envelope.event
    match event:
        case InstanceMetered():
            return [change for part in metered(event) for change in _added(event.since, *part)]
        case WorkLost():
            return list(_lost(event))
        case _:
            return []


Part = tuple[tuple[str, str, bool, str, str], tuple[float, float, float]]
"""Pool, kind of machine, whether it is a spot machine, experiment and use; then machine-seconds,
USD, and USD on demand."""


def metered(event: InstanceMetered) -> list[Part]:
    """One interval of a machine, part by part."""
    whole = (event.at - event.since, event.cost, event.list_cost)
    machine = (event.pool, event.kind, event.spot)
    shares = {name: slots / max(1, event.slots) for name, slots in event.shares.items()}
    parts: list[Part] = [
        ((*machine, experiment_of(name), "used"), _times(whole, share))
        for name, share in shares.items()
    ]
    rest = 1.0 - sum(shares.values())
    if rest > 1e-9:
        use = "starting" if event.use == "starting" else "idle"
        parts.append(((*machine, "", use), _times(whole, rest)))
    return parts


def _lost(event: WorkLost) -> Iterator[Change]:
    """A loss belongs to the days in which the work was done."""
    amounts = (event.seconds * event.share, event.cost, event.list_cost)
    since = event.at - event.seconds
    while since < event.at:
        until = min(event.at, (since // DAY + 1) * DAY)
        part = _times(amounts, (until - since) / event.seconds)
        where = (event.pool, event.kind, event.spot, experiment_of(event.allocation_id))
        yield from _added(since, (*where, "lost"), part)
        yield from _added(since, (*where, "used"), _times(part, -1.0))
        since = until


def _added(
    at: float, where: tuple[str, str, bool, str, str], amounts: tuple[float, float, float]
) -> Iterator[Change]:
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    yield AddToIndex(keys.COST_DAYS, day, at // DAY)
    for measure, amount in zip(("seconds", "cost", "list_cost"), amounts, strict=True):
        if amount:
            yield Increment(keys.cost(day), json.dumps([*where, measure]), amount)


def _times(amounts: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    return (amounts[0] * by, amounts[1] * by, amounts[2] * by)
