"""What happened to a trial, event by event, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    REGISTER,
    AllocationGranted,
    AllocationWaiting,
    Event,
    TrialCheckpointed,
    TrialCreated,
    TrialExtended,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialReleased,
    TrialRequested,
    TrialStarted,
)
from shoal_contract.ids import allocation_id
from shoal_contract.subjects import SEARCH, all_of, stream_of


def decisions_of(experiment_id: str, trial_id: str) -> list[str]:
    """The subjects of all that the searcher decided about a trial."""
    return [
        all_of(name, experiment_id, trial_id)
        for name, cls in REGISTER.items()
        if stream_of(name) == SEARCH and cls.key == ("experiment_id", "trial_id")
    ]


def answers_of(experiment_id: str, trial_id: str, decisions: Sequence[Envelope]) -> list[str]:
    """The subjects of what the scheduler said about the attempts of a trial: why each waited, and
    what it got."""
    attempts = [e.event.attempt for e in decisions if isinstance(e.event, TrialRequested)]
    return [
        all_of(name, experiment_id, allocation_id(trial_id, attempt))
        for attempt in attempts
        for name in ("allocation.waiting", "allocation.granted")
    ]


def tell(event: Event, searcher: Mapping[str, Any]) -> str:
    """An event of a trial in a few words. `searcher` is the config's section of that name."""
    match event:
        case TrialCreated():
            return _created(event)
        case TrialRequested():
            slots = _slots(event.resources.slots_per_trial)
            words = f"attempt {event.attempt} asks for {slots}, to train up to {event.task.target}"
            return words + _because(event.reason)
        case AllocationWaiting():
            return event.reason.removeprefix(f"{event.trial_id} ").rstrip(".")
        case AllocationGranted():
            nodes = ", ".join(place.node_id for place in event.placements)
            slots = _slots(sum(len(place.slots) for place in event.placements))
            return f"attempt {event.attempt} is placed on {nodes} ({slots})"
        case TrialStarted():
            return f"attempt {event.attempt} holds {_slots(event.slots)}"
        case TrialMeasured():
            return _measured(event, searcher)
        case TrialCheckpointed():
            return f"checkpoint at step {event.checkpoint.step}"
        case TrialExtended():
            return f"may train up to {event.target}" + _because(event.reason)
        case TrialPaused():
            return "paused" + _because(event.reason)
        case TrialReleased():
            return f"attempt {event.attempt} gave its slots back"
        case TrialInterrupted():
            return f"attempt {event.attempt} was {event.outcome}" + _because(event.reason)
        case _:  # its end
            verb = event.type.removeprefix("trial.")
            return verb + _because(str(getattr(event, "reason", "")))


def number(value: float | None) -> str:
    """A result, short; one that is no number is called so."""
    return "no number" if value is None else f"{value:.5g}"


def _created(event: TrialCreated) -> str:
    values = " ".join(f"{name}={_value(value)}" for name, value in event.hyperparameters.items())
    words = f"proposed ({event.origin})" + (f": {values}" if values else "")
    match event.inherits:
        case "weights":
            return f"{words}; starts with the weights of {event.parent}"
        case "training":
            return f"{words}; goes on from where {event.parent} was"
        case "nothing":
            return words + _because(event.reason)


def _measured(event: TrialMeasured, searcher: Mapping[str, Any]) -> str:
    names = [searcher["metric"], *(o["metric"] for o in searcher.get("objectives", ()))]
    values = [event.metric, *event.objectives]
    found = ", ".join(f"{n} {number(v)}" for n, v in zip(names, values, strict=False))
    rung = "" if event.rung is None else f", for rung {event.rung}"
    return f"at {event.time}: {found}{rung}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + " ".join(f"{name}={_value(item)}" for name, item in value.items()) + ")"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _slots(count: int) -> str:
    return "1 slot" if count == 1 else f"{count} slots"
