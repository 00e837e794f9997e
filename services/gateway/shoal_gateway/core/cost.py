"""What things cost, added up for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shoal_contract.events.instance import InstanceMetered
from shoal_gateway.core.projections.cost import metered
from shoal_gateway.core.rows import Row

BY = ("experiment", "pool", "kind", "day")
USES = ("used", "lost", "idle", "starting")
OTHERS = "others"
"""Stands for experiments that the asker may not see."""

Cell = tuple[str, str, str, str, str]
"""Day, pool, kind, experiment and use."""
Sums = dict[Cell, list[float]]
"""To machine-seconds, USD, and USD on demand."""
_MEASURES = ("seconds", "cost", "list_cost")


def cells(days: Mapping[str, Row]) -> Sums:
    """The read models' sums, day by day."""
    found: Sums = {}
    for day, row in days.items():
        for name, amount in row.items():
            *where, measure = json.loads(name)
            _add(found, day, where, _MEASURES.index(measure), amount)
    return found


def add_running(found: Sums, day: str, machines: Iterable[Row], since: float, now: float) -> None:
    """Add what machines that run have cost since they were accounted for last (and `since`)."""
    for row in machines:
        if (part := running(row, since, now)) is not None:
            for (pool, kind, spot, experiment, use), amounts in metered(part):
                for number, amount in enumerate(amounts):
                    _add(found, day, [pool, kind, spot, experiment, use], number, amount)


def running(row: Row, since: float, now: float) -> InstanceMetered | None:
    """The time of a machine that is not accounted for yet; None: there is none."""
    begun = row.get("metered_at") or row.get("started_at") or row.get("joined_at")
    if begun is None or max(begun, since) >= now:
        return None
    begun = max(begun, since)
    shares = row.get("shares") or {}
    hours = (now - begun) / 3600
    return InstanceMetered(
        pool=row["pool"],
        instance_id=row["instance_id"],
        use="starting" if row.get("node_id") is None else "used" if shares else "idle",
        slots=row.get("slots", 1),
        shares=shares,
        next_shares=shares,
        since=begun,
        at=now,
        cost=hours * row.get("price", 0.0),
        list_cost=hours * row.get("list_price", 0.0),
        kind=row.get("kind", ""),
        spot=row.get("spot", False),
    )


def bill(found: Sums, pool: str | None, experiment: str | None, hidden: Sequence[str]) -> Row:
    """Sums in all and by each of `BY`; of one pool or experiment alone, if they are given.
    Experiments that are `hidden` become one."""
    chosen: Sums = {}
    for (day, its_pool, kind, its_experiment, use), amounts in found.items():
        if pool in (None, its_pool) and experiment in (None, its_experiment):
            name = OTHERS if its_experiment in hidden else its_experiment
            into = chosen.setdefault((day, its_pool, kind, name, use), [0.0, 0.0, 0.0])
            into[:] = [a + b for a, b in zip(into, amounts, strict=True)]
    places = {"day": 0, "pool": 1, "kind": 2, "experiment": 3}
    return {
        "total": _sums(chosen.items()),
        "by": {name: _by(chosen, name, places[name]) for name in BY},
    }


def _by(chosen: Sums, name: str, place: int) -> list[Row]:
    groups: dict[str, list[tuple[Cell, list[float]]]] = {}
    for cell, amounts in chosen.items():
        groups.setdefault(cell[place], []).append((cell, amounts))
    rows = [{name: key or None, **_sums(group)} for key, group in groups.items()]
    if name == "day":
        return sorted(rows, key=lambda row: str(row["day"]))
    return sorted(rows, key=lambda row: -float(row["cost"]))


def _sums(found: Iterable[tuple[Cell, list[float]]]) -> Row:
    """`cost` is the sum of the uses' USD. `on_demand`: what the same time but for what was lost
    would have cost on demand; `saved`: the part of that which was not spent."""
    money, seconds, listed = dict.fromkeys(USES, 0.0), dict.fromkeys(USES, 0.0), 0.0
    for cell, amounts in found:
        use = cell[4]
        seconds[use] += amounts[0]
        money[use] += amounts[1]
        listed += amounts[2] if use != "lost" else 0.0
    cost = sum(money.values())
    return {
        "cost": _round(cost),
        "on_demand": _round(listed),
        "saved": round(1 - cost / listed, 4) if listed > 0 else None,
        **{use: _round(amount) for use, amount in money.items()},
        "machine_seconds": {use: round(amount, 1) + 0.0 for use, amount in seconds.items()},
    }


def _round(amount: float) -> float:
    return round(amount, 6) + 0.0


def _add(found: Sums, day: str, where: Sequence[Any], measure: int, amount: float) -> None:
    pool, kind, spot, experiment, use = where
    name = f"{kind or '-'}, {'spot' if spot else 'on demand'}"
    found.setdefault((day, pool, name, experiment, use), [0.0, 0.0, 0.0])[measure] += amount
