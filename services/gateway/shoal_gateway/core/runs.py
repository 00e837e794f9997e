"""Runs as readers get them: what several streams brought of each attempt, put together. Pure."""

from collections.abc import Mapping
from typing import Any

from shoal_gateway.core.rows import Row


def runs(trial_id: str, fields: Mapping[str, Any]) -> list[Row]:
    """A trial's runs, the first first. `fields` as `projections/runs.py` writes them."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in fields.items():
        what, attempt, *rank = name.split(" ")
        its = found.setdefault(int(attempt), {"exits": {}})
        if rank:
            its["exits"][int(rank[0])] = value
        else:
            its[what] = value
    return [_run(trial_id, attempt, found[attempt]) for attempt in sorted(found)]


def _run(trial_id: str, attempt: int, its: Mapping[str, Any]) -> Row:
    asked, granted, leaving, ended = (
        its.get(name, {}) for name in ("asked", "granted", "leaving", "ended")
    )
    last = next((name for name in ("ended", "leaving", "granted") if name in its), "asked")
    return {
        "trial_id": trial_id,
        "attempt": attempt,
        "state": {"asked": "waiting", "granted": "running"}.get(last, last),
        "asked_for": asked.get("reason") or None,
        "target": asked.get("target"),
        "from_step": asked.get("from_step"),
        "requested_at": asked.get("at"),
        "granted_at": granted.get("at"),
        "ended_at": ended.get("at"),
        "slots": granted.get("slots", 0),
        "node_ids": granted.get("node_ids", []),
        "price": granted.get("price", 0),
        "told_to_leave": leaving.get("reason"),
        "outcome": ended.get("outcome"),
        "reason": ended.get("reason") or None,
        "slot_seconds": ended.get("slots", 0) * ended.get("seconds", 0),
        "last_time": ended.get("last_time"),
        "exits": [its["exits"][rank] for rank in sorted(its["exits"])],
    }
