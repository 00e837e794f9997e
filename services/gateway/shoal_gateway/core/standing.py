"""Where a trial stands now and why, in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    AllocationGranted,
    AllocationWaiting,
    Event,
    TrialCreated,
    TrialExtended,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialRequested,
    TrialStarted,
)
from shoal_contract.ids import allocation_id
from shoal_gateway.core.rows import Row, smaller_is_better
from shoal_gateway.core.search import reached

HALVING = ("async_halving", "adaptive_asha")
"""Methods whose paused trials go on when they are among the best 1/divisor of their rung."""
_ENDS = {
    "trial.completed": "has completed",
    "trial.stopped": "was stopped",
    "trial.cancelled": "was cancelled",
    "trial.failed": "has failed",
}


@dataclass(slots=True)
class _Life:
    """What the events of a trial come to."""

    last: Event | None = None
    """The last event that changed its state, and when that was."""
    since: float = 0.0
    attempt: int = 0
    target: int | None = None
    time: int | None = None
    """Of its last result."""
    started: float | None = None
    """When its attempt got slots."""
    waits: str = ""
    """Why its attempt waits, and when the scheduler said so."""
    extended: bool = False
    """Whether it may go on, since it was paused."""


@dataclass(frozen=True, slots=True)
class Place:
    """How a trial ranks among the results at its rung."""

    rung: int
    rank: int
    results: int
    keep: int
    """The best so many go on."""


def standing(
    trial_id: str,
    story: Sequence[Envelope],
    experiment: Row,
    trials: Sequence[Row],
    starting: Sequence[str] = (),
) -> str:
    """The sentence on a trial. `story` is its events in their order; `experiment` and `trials`,
    all of the experiment's, are rows as they are stored. For one that waits for slots the
    scheduler's own sentence follows, and which machines are `starting`, of which pools each."""
    life = _live(story)
    words = f"Trial {trial_id} {_words(trial_id, life, experiment, trials)}."
    if not isinstance(life.last, TrialRequested) or life.started is not None:
        return words
    return words + life.waits + _starting(life.last.resources.pools, starting)


def _starting(pools: Sequence[str], starting: Sequence[str]) -> str:
    """How many machines are starting in the pools that a trial may use."""
    counts = [(starting.count(pool), pool) for pool in pools if pool in starting]
    return "".join(
        f" {count} machine{' is' if count == 1 else 's are'} starting in pool {pool}."
        for count, pool in counts
    )


def place_now(trial_id: str, experiment: Row, trials: Sequence[Row]) -> Place | None:
    """How a trial ranks at the highest rung that it reached, among all results that are there
    now. None where its method does not rank so, or ranks by several objectives."""
    searcher = experiment["config"]["searcher"]
    me = next((row for row in trials if row.get("trial_id") == trial_id), {})
    rung = me.get("rung")
    if searcher["name"] not in HALVING or searcher.get("objectives") or rung is None:
        return None
    sign = 1 if smaller_is_better(experiment) else -1
    costs: dict[str, tuple[bool, float, int]] = {}
    for row in trials:
        field = reached(row, rung)
        if row.get("bracket", 0) == me.get("bracket", 0) and field is not None:
            value = row[field]  # None: no finite number, which is worse than any
            costs[row["trial_id"]] = (value is None, sign * (value or 0.0), row["number"])
    if trial_id not in costs:
        return None
    rank = 1 + sum(cost < costs[trial_id] for cost in costs.values())
    keep = int(len(costs) / Fraction(repr(searcher["divisor"])))
    return Place(rung, rank, len(costs), keep)


def _live(story: Sequence[Envelope]) -> _Life:
    life = _Life()
    for envelope in story:
        match envelope.event:
            case TrialStarted() | AllocationGranted() as event:
                if event.attempt == life.attempt:
                    life.started = event.at
            case AllocationWaiting() as event:
                if event.allocation_id == allocation_id(event.trial_id, life.attempt):
                    life.waits = f" At {_clock(envelope.time)}: {event.reason}"
                    if event.expected_at is not None:
                        life.waits += f" That should be at about {_clock(event.expected_at)}."
            case TrialMeasured() as event:
                life.time = event.time
            case TrialExtended() as event:
                life.target, life.extended = event.target, True
            case (TrialCreated() | TrialRequested() | TrialPaused() | TrialInterrupted()) as event:
                life.last, life.since, life.extended = event, envelope.time, False
                if isinstance(event, TrialRequested):
                    life.attempt, life.target = event.attempt, event.task.target
                    life.started, life.waits = None, ""
            case event if event.type in _ENDS:
                life.last, life.since = event, envelope.time
    return life


def _words(trial_id: str, life: _Life, experiment: Row, trials: Sequence[Row]) -> str:
    since = _clock(life.since)
    match life.last:
        case None:
            return "has no events yet"
        case TrialCreated():
            return f"was proposed at {since} and is about to ask for slots"
        case TrialRequested() if life.started is None:
            what = f"attempt {life.attempt}, which is to train up to {life.target}"
            return f"waits for slots since {since} for {what}"
        case TrialRequested():
            begun = f"in attempt {life.attempt} since {_clock(life.started or 0.0)}"
            far = "no result yet" if life.time is None else f"its last result is at {life.time}"
            return f"trains up to {life.target} {begun}; {far}"
        case TrialInterrupted() as event:
            return f"was {event.outcome} at {since} ({event.reason}) and is about to start again"
        case TrialPaused() as event:
            tail = "" if event.by_user else _next(trial_id, life, experiment, trials)
            return f"is paused since {since}: {event.reason}{tail}"
        case event:
            reason = str(getattr(event, "reason", ""))
            return f"{_ENDS[event.type]} at {since}" + (f": {reason}" if reason else "")


def _next(trial_id: str, life: _Life, experiment: Row, trials: Sequence[Row]) -> str:
    """What it takes for a paused trial to go on."""
    if experiment.get("closing"):
        return f"; it goes no further, since the search closes: {experiment['closing']}"
    if life.extended:
        return f"; it may train up to {life.target} and waits for a place"
    place = place_now(trial_id, experiment, trials)
    if place is None:
        return ""
    now = (
        f"; now it is rank {place.rank} of {place.results} in rung {place.rung}, of which the"
        f" best {place.keep} go on"
    )
    return now + (", and it waits for a place" if place.rank <= place.keep else "")


def _clock(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"
