"""Events as lines that a person follows. Pure."""

from typing import Any

from shoal.answers.base import Event
from shoal.cli.printing import text
from shoal.words import counted

FOLLOWED = ("experiment.", "search.", "trial.", "allocation.")
"""Beginnings of the event types from which the story of an experiment is told."""
ENDS = {"search.completed": 0, "search.failed": 1, "search.cancelled": 3}
"""How an experiment ends, and the exit code that says so."""


def line(event: Event) -> str | None:
    """The line for an event; None for one that is of no interest to a person."""
    kind, data = event["type"], event["data"]
    noun, _, verb = kind.partition(".")
    if noun == "trial":
        return _trial(data.get("trial_id", ""), verb, data)
    if noun == "allocation":
        return _allocation(data.get("trial_id", ""), verb, data)
    if kind == "experiment.submitted":
        return f"submitted as {data['experiment_id']}: {data['config']['name']}"
    if noun == "experiment":
        return _request(verb.removesuffix("_requested"), data)
    if kind in ENDS:
        return _ended(verb, data)
    return _search(verb, data) if noun == "search" else None


def _request(verb: str, data: dict[str, Any]) -> str:
    match verb:
        case "trial_create":
            return f"a trial was asked for: {text(data['hyperparameters'])}"
        case "trial_extend":
            return f"{data['trial_id']} was asked to train on, to {data['target']}"
        case "checkpoint_change":
            return f"{data['change']} was asked for of {data['url']}"
        case "trial_stop":
            at_once = " at once" if data.get("at_once") else ""
            return f"{data['trial_id']} was asked to end{at_once}"
        case "trial_move":
            return f"{data['trial_id']} was asked to go ahead of {data['ahead_of']}"
        case "share_change":
            names = ("weight", "priority", "max_slots", "hold")
            asked = {name: data[name] for name in names if data.get(name) is not None}
            return f"another share was asked for: {text(asked)}"
    return f"{verb} was asked for"


def _search(verb: str, data: dict[str, Any]) -> str | None:
    match verb:
        case "accepted" | "paused" | "resumed":
            return f"the experiment is {verb}"
        case "warmed":
            found = [counted(len(data["results"]), "earlier result")] if data["results"] else []
            found += ["another trial's weights"] if data.get("checkpoint") else []
            return f"the search starts from {' and '.join(found) or 'nothing'}"
        case "changed":
            names = ("max_trials", "max_concurrent_trials")
            numbers = {name: data[name] for name in names if data.get(name) is not None}
            return f"the search was changed: {text(numbers)}"
        case "begun":
            return f"trials begin with draws: {data['reason']}"
        case "proposed" if data.get("failure"):
            return f"the sampler {data['sampler']} failed: {data['failure']}"
        case "closing":
            return f"no more trials: {data['reason']}"
    return None


def _trial(trial: str, verb: str, data: dict[str, Any]) -> str | None:
    reason = f": {data['reason']}" if data.get("reason") else ""
    match verb:
        case "created":
            origin = data.get("origin", "random")
            origin += f" from {data['parent']}" if data.get("parent") else ""
            return f"{trial} created ({origin}): {text(data['hyperparameters'])}{reason}"
        case "measured":
            rung = "" if data.get("rung") is None else f" (rung {data['rung']})"
            results = text([data["metric"], *data.get("objectives", ())])
            return f"{trial} at {data['time']}: {results}{rung}"
        case "extended":
            return f"{trial} trains on, to {data['target']}{reason}"
        case "interrupted":
            return f"{trial} was interrupted ({data['outcome']}){reason}"
        case "paused" | "completed" | "stopped" | "cancelled" | "failed":
            return f"{trial} {verb}{reason}"
    return None


def _allocation(trial: str, verb: str, data: dict[str, Any]) -> str | None:
    if verb == "granted":
        slots = sum(len(p["slots"]) for p in data["placements"])
        nodes = ", ".join(p["node_id"] for p in data["placements"])
        return f"{trial} runs on {nodes} ({counted(slots, 'slot')})"
    if verb == "ended" and data["outcome"] in ("preempted", "lost"):
        return f"{trial} lost its slots ({data['outcome']}): {data['reason']}"
    return None


def _ended(verb: str, data: dict[str, Any]) -> str:
    best, front = data.get("best"), data.get("front")
    if front:
        number = counted(len(front), "result")
        tail = f"; {number} that no other beats: " + ", ".join(
            f"{one['trial_id']} ({text(one['metrics'])})" for one in front
        )
    elif best:
        tail = f"; best {text(best['metric'])} by {best['trial_id']} at step {best['step']}"
        tail += f": {text(best['hyperparameters'])}"
    else:
        tail = f": {data['reason']}" if data.get("reason") else ""
    return f"the experiment {verb if verb == 'completed' else 'is ' + verb}{tail}"
