"""What the screen shows of rows, as text. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from shoal.cli.base import state_of
from shoal.cli.printing import COLOURS, text

Row = Mapping[str, Any]
Cells = tuple[Text, ...]
_OVER = ("completed", "stopped", "cancelled", "failed")
NODES = ("NODE", "POOL", "STATE", "SLOTS", "MODEL")
EXPERIMENTS = ("ID", "NAME", "STATE", "TRIALS", "DONE", "BEST")
QUEUE = ("POOL", "TRIAL", "SLOTS", "WHY")
TRIALS = ("TRIAL", "STATE", "RUNG", "TIME", "METRIC", "BEST", "NODES", "HYPERPARAMETERS")


def headline(nodes: Sequence[Row], queue: Sequence[Row], experiments: Sequence[Row]) -> str:
    """The cluster in a line."""
    live = [n for n in nodes if n["state"] != "removed"]
    used, slots = sum(n["used"] for n in live), sum(len(n["slots"]) for n in live)
    states = Counter(str(e["state"]) for e in experiments)
    return (
        f"nodes {len(live)}   slots {used}/{slots} {bar(used, slots, 10)}   waiting {len(queue)}"
        f"   active {states['active']}   paused {states['paused']}"
    )


def bar(done: float, total: float | None, width: int) -> str:
    """How much is done.

    >>> bar(1, 4, 8)
    '██······'
    """
    full = round(width * min(1.0, done / total)) if total else 0
    return "█" * full + "·" * (width - full)


def nodes(rows: Sequence[Row]) -> dict[str, Cells]:
    """A row for each node that is there."""
    return {
        n["node_id"]: _cells(
            n["node_id"],
            n["pool"],
            n["state"],
            f"{bar(n['used'], len(n['slots']), min(8, len(n['slots'])))} "
            f"{n['used']}/{len(n['slots'])}",
            ", ".join(sorted({str(s["model"]) for s in n["slots"]})),
        )
        for n in rows
        if n["state"] != "removed"
    }


def experiments(rows: Sequence[Row]) -> dict[str, Cells]:
    """A row for each experiment: how many of its trials are over, and its best result."""
    found = {}
    for e in rows:
        over = sum(e["trials"].get(state, 0) for state in _OVER)
        total = e["max_trials"] or sum(e["trials"].values()) or None
        if e["state"] == "completed":
            total = over
        found[e["experiment_id"]] = _cells(
            e["experiment_id"],
            _short(e["name"], 20),
            e["state"],
            f"{over}/{total or '?'}",
            bar(over, total, 10),
            f"front of {len(e['front'])}" if e["front"] else (e["best"] or {}).get("metric"),
        )
    return found


def queue(rows: Sequence[Row]) -> dict[str, Cells]:
    """A row for each attempt that waits."""
    return {
        q["allocation_id"]: _cells(
            q["pool"], q["trial_id"], q["slots"], q.get("reason") or q.get("why")
        )
        for q in rows
    }


def trials(rows: Sequence[Row]) -> dict[str, Cells]:
    """A row for each trial, those that run first."""
    ordered = sorted(rows, key=lambda t: (not t["running"], t["ended_at"] is not None, t["number"]))
    return {
        t["trial_id"]: _cells(
            t["trial_id"],
            state_of(t),
            t["rung"],
            t["time"],
            t["metric"],
            (t["best"] or {}).get("metric"),
            t["node_ids"],
            t["hyperparameters"],
        )
        for t in ordered
    }


def drawn(experiment: Row, rows: Sequence[Row], chosen: str | None, most: int = 6) -> list[str]:
    """The trials whose curves are drawn: the chosen one, and the best."""
    sign = 1 if experiment["config"]["searcher"].get("smaller_is_better", True) else -1
    best = sorted(
        (sign * t["best"]["metric"], t["number"], t["trial_id"]) for t in rows if t["best"]
    )
    names = [*([chosen] if chosen else []), *(name for _, _, name in best)]
    return list(dict.fromkeys(names))[:most]


def _cells(*values: Any) -> Cells:
    words = [text(value) for value in values]
    return tuple(Text(word, style=COLOURS.get(word, ""), no_wrap=True) for word in words)


def _short(words: str, width: int) -> str:
    return words if len(words) <= width else words[: width - 1] + "…"
