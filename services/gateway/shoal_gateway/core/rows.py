"""Rows as readers get them: what several streams brought, put together."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from shoal_contract.states import ExperimentState, TrialState
from shoal_gateway.core import keys
from shoal_gateway.core.paging import Place

Row = dict[str, Any]


def smaller_is_better(experiment: Mapping[str, Any]) -> bool:
    """In which direction the experiment's metric is better."""
    return bool(experiment["config"]["searcher"].get("smaller_is_better", True))


def experiment(row: Row, counts: Mapping[str, int]) -> Row:
    """An experiment, with the number of its trials by state. `max_trials` and
    `max_concurrent_trials` are as a person changed them, and null where the method has none.
    `closing` says why no more trials are proposed, `sampler_failure` why draws take the place of
    its sampler's proposals; `front` is known when the search has ended. `revision` counts what
    people changed of it."""
    low, high = row.get("best_low"), row.get("best_high")
    best = row.get("best") or (low if smaller_is_better(row) else high)
    searcher = row["config"]["searcher"]
    return {
        "experiment_id": row["experiment_id"],
        "name": row.get("name", row["config"]["name"]),
        "description": row.get("description", row["config"]["description"]),
        "labels": row.get("labels", row["config"]["labels"]),
        "notes": row.get("notes", ""),
        "archived": row.get("archived", False),
        "revision": int(row.get("revision", 0)),
        "workspace": row["config"]["resources"].get("workspace", "default"),
        "project_id": row.get("project_id", "default"),
        "forked_from": row.get("forked_from"),
        "continues": row.get("continues"),
        "state": row.get("state", ExperimentState.ACTIVE.value),
        "reason": row.get("reason"),
        "owner": row.get("owner"),
        "submitted_at": row["submitted_at"],
        "cancel_requested_at": row.get("cancel_requested_at"),
        "ended_at": row.get("ended_at"),
        "trials": {s.value: counts[s.value] for s in TrialState if counts.get(s.value)},
        "max_trials": row.get("max_trials", searcher.get("max_trials")),
        "max_concurrent_trials": row.get(
            "max_concurrent_trials", searcher.get("max_concurrent_trials")
        ),
        "closing": row.get("closing"),
        "sampler_failure": row.get("sampler_failure"),
        "best": best,
        "front": row.get("front") or [],
        "slot_seconds": row.get("slot_seconds", 0),
        "bundle": row.get("bundle"),
        "storage_url": row.get("storage_url"),
        "config": row["config"],
    }


def trial(row: Row, smaller: bool) -> Row:
    """A trial. `running` says whether it holds slots now, by the scheduler's word; `started` says
    the same, by the searcher's: false while an attempt waits for slots."""
    best = row.get("best_low" if smaller else "best_high")
    nodes = row.get("node_ids") or []
    return {
        "trial_id": row["trial_id"],
        "experiment_id": row["experiment_id"],
        "number": row["number"],
        "state": row["state"],
        "reason": row.get("reason"),
        "running": bool(nodes),
        "started": row.get("started_at") is not None,
        "started_at": row.get("started_at"),
        "attempt": row.get("attempt", 0),
        "hyperparameters": row["hyperparameters"],
        "seed": row["seed"],
        "bracket": row.get("bracket", 0),
        "origin": row.get("origin"),
        "parent": row.get("parent"),
        "request_id": row.get("request_id"),
        "rung": row.get("rung"),
        "target": row.get("target"),
        "step": row.get("step"),
        "time": row.get("time"),
        "metric": row.get("metric"),
        "objectives": row.get("objectives") or [],
        "best": best,
        "checkpoint": row.get("checkpoint"),
        "node_ids": nodes,
        "slots": row.get("slots", 0),
        "slot_seconds": row.get("slot_seconds", 0),
        "restarts": row.get("restarts", 0),
        "losses": row.get("losses", 0),
        "preemptions": row.get("preemptions", 0),
        "created_at": row["created_at"],
        "ended_at": row.get("ended_at"),
    }


def nodes(rows: Sequence[Row], allocations: Sequence[Row]) -> list[Row]:
    """Nodes, with how many of their slots are used, by which trials, and which are put aside."""
    used: Counter[str] = Counter()
    trials: dict[str, list[str]] = {}
    for allocation in allocations:
        for placement in allocation["placements"]:
            used[placement["node_id"]] += len(placement["slots"])
            trials.setdefault(placement["node_id"], []).append(allocation["trial_id"])
    return [
        {name: value for name, value in row.items() if not name.startswith(keys.ASIDE)}
        | {
            "used": used[row["node_id"]],
            "trials": sorted(trials.get(row["node_id"], [])),
            "aside": _aside(row),
        }
        for row in rows
    ]


def _aside(row: Row) -> dict[str, str]:
    """The slots of a node on which nothing is placed any more, and why."""
    return {
        name.removeprefix(keys.ASIDE): said["reason"]
        for name, said in row.items()
        if name.startswith(keys.ASIDE) and said["incarnation"] == row["incarnation"]
    }


def queue(
    rows: Mapping[str, Row],
    waiting: Mapping[str, Row],
    moved: Mapping[str, Row],
    shares: Mapping[str, Row],
) -> list[tuple[Place, Row]]:
    """What waits, pool by pool: by priority where the pool goes by it, then by age, as people
    changed them; each with its place. What else a policy goes by, shares and slots that are free,
    is in each one's `reason`."""
    found: list[tuple[Place, Row]] = []
    for name, row in rows.items():
        share = shares.get(row["experiment_id"], {})
        said = waiting.get(name, {}) | moved.get(name, {})
        shown = row | {
            "priority": share.get("priority") or row["priority"],
            "hold": share.get("hold", False),
            "since": said.get("since") or row["queued_at"],
            "pools": said.get("pools") or [row["pool"]],
            "why": said.get("why"),
            "reason": said.get("reason"),
            "expected_at": said.get("expected_at"),
        }
        rank = _rank(shown, said.get("ageing", 0.0))
        number = said.get("number", math.inf)  # told in a moment
        found.append(((row["pool"], rank, number, shown["since"], name), shown))
    return sorted(found, key=itemgetter(0))


def _rank(row: Row, ageing: float | None) -> float:
    """What decides before age, as the scheduler reckons it."""
    if ageing is None:
        return 0.0
    if not ageing:
        return float(row["priority"])
    return float(row["priority"] * ageing + row["since"])
