"""What must hold of every history, checked after every decision; and what came of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    AllocationReleasing,
    Event,
    ExperimentSubmitted,
    NodeAdmitted,
    NodeRemoved,
    RunSettled,
    StartOrdered,
    TrialCreated,
)
from shoal_contract.events.instance import InstanceMetered
from shoal_contract.ids import experiment_of_trial
from shoal_contract.states import EXPERIMENT, TRIAL, ExperimentState, TrialState, terminal
from shoal_simulator.idle import Idle

Key = tuple[str, str, int]
"""A slot: its node, the node's incarnation, its number there."""


LEAVING = 900.0
"""Seconds after which nobody still holds slots who was told to leave: a gang that completes has
300, and each order may come again."""
SPENDING = 120.0
"""Seconds for which an experiment may hold slots after its slot-hours are spent."""
PERIODS = {"per_hour": 3600, "per_day": 86400}
"""A pool's budgets, and the seconds that each is for."""


class BrokenPromiseError(AssertionError):
    """Something happened that never may. The text says what, and when."""


@dataclass(slots=True)
class Stay:
    """An allocation on a slot: a bar of the timeline."""

    node_id: str
    slot: int
    trial_id: str
    since: float
    until: float = float("inf")


@dataclass(slots=True)
class Watch:
    """Follows every event of a simulation."""

    budgets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Pool to the money that it may spend, by the names of `PERIODS`."""
    patience: float = float("inf")
    """Seconds that an attempt may wait for its slots."""
    submitted: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    events: int = 0
    preemptions: int = 0
    losses: int = 0
    slot_seconds: float = 0.0
    """Slots there were, times seconds."""
    idle: Idle = field(default_factory=Idle)
    _searches: dict[str, ExperimentState] = field(default_factory=dict)
    _trials: dict[str, TrialState] = field(default_factory=dict)
    _held: dict[Key, str] = field(default_factory=dict)
    _bars: dict[tuple[Key, str], Stay] = field(default_factory=dict)
    _places: dict[str, list[Key]] = field(default_factory=dict)
    _queued: dict[str, float] = field(default_factory=dict)
    _leaving: dict[str, float] = field(default_factory=dict)
    _spent: dict[tuple[str, str, int], float] = field(default_factory=lambda: defaultdict(float))
    """Money by pool, budget and number of its period."""
    _limits: dict[str, float] = field(default_factory=dict)
    """Experiment to the slot-seconds that it may use."""
    _uses: dict[str, dict[str, tuple[int, float, float]]] = field(default_factory=dict)
    """Experiment to its allocations' slots, grant and end, if it has such a limit."""
    _ended: set[str] = field(default_factory=set)
    _nodes: dict[str, tuple[str, int, float]] = field(default_factory=dict)

    def __call__(self, events: Sequence[Event], now: float) -> None:
        """What one decision wrote, all at once."""
        self.events += len(events)
        self.idle.passes(now)
        for event in events:
            self._follow(event, now)
        self._gangs_are_whole(events, now)
        self._nobody_is_forgotten(now)

    def fairness(self) -> float | None:
        """Jain's index of the parts of their time in which experiments held slots."""
        spans: dict[str, list[tuple[float, float]]] = {}
        for stay in self.stays:
            spans.setdefault(experiment_of_trial(stay.trial_id), []).append(
                (stay.since, stay.until)
            )
        parts = [
            _covered(spans.get(name, [])) / max(1e-9, end - self.submitted[name])
            for name, end in self.finished.items()
        ]
        squares = sum(part * part for part in parts)
        return sum(parts) ** 2 / (len(parts) * squares) if squares else None

    def over(self) -> bool:
        """Whether every experiment that was submitted has ended."""
        return len(self.finished) == len(self.submitted)

    def close(self, now: float) -> None:
        """The end of the simulation."""
        for node_id in list(self._nodes):
            self._gone(node_id, now)
        for stay in self.stays:
            stay.until = min(stay.until, now)

    def _follow(self, event: Event, now: float) -> None:
        match event:
            case ExperimentSubmitted():
                self.submitted[event.experiment_id] = now
                budget = event.config.searcher.budget
                if budget is not None and budget.slot_hours is not None:
                    self._limits[event.experiment_id] = 3600 * budget.slot_hours
                    self._uses[event.experiment_id] = {}
            case NodeAdmitted():
                self._gone(event.node_id, now)
                self._nodes[event.node_id] = (event.incarnation, len(event.slots), now)
                self.idle.come(event.node_id, event.pool, len(event.slots))
            case NodeRemoved():
                self._removed(event, now)
            case AllocationQueued():
                self._alive(event.allocation_id, event, now)
                self._queued.setdefault(event.allocation_id, now)
                self.idle.wait(event.allocation_id, event.resources.pools, event.resources.least)
            case AllocationGranted():
                self._granted(event, now)
            case AllocationReleasing():
                self._leaving[event.allocation_id] = now
            case RunSettled():
                self._settled(event, now)
            case InstanceMetered():
                self._metered(event, now)
            case AllocationEnded():
                self._alive(event.allocation_id, event, now)
                self._queued.pop(event.allocation_id, None)
                self._leaving.pop(event.allocation_id, None)
                self._uses_its_budget(event.experiment_id, event.allocation_id, now)
                self._ended.add(event.allocation_id)
                self.idle.done(event.allocation_id)
                self.preemptions += event.outcome == "preempted"
                self.losses += event.outcome == "lost"
                left = [key for key in self._places.get(event.allocation_id, ())
                        if self._held.get(key) == event.allocation_id]  # fmt: skip
                self._must(not left, f"{event.allocation_id} ended and still holds {left}", now)
            case _ if event.type.startswith("search."):
                self._search(event, now)
            case _ if event.type.startswith("trial."):
                self._trial(event, now)
            case _:
                pass

    def _must(self, holds: bool, text: str, now: float) -> None:
        if not holds:
            raise BrokenPromiseError(f"at {now:.3f} s: {text}")

    def _alive(self, allocation_id: str, event: Event, now: float) -> None:
        over = allocation_id in self._ended
        self._must(not over, f"{event.type} of {allocation_id}, which had ended", now)

    def _granted(self, event: AllocationGranted, now: float) -> None:
        self._alive(event.allocation_id, event, now)
        self.idle.done(event.allocation_id)
        if event.allocation_id in self._queued:
            self.waits.append(now - self._queued.pop(event.allocation_id))
        keys = [
            (place.node_id, place.incarnation, slot)
            for place in event.placements
            for slot in place.slots
        ]
        self._places[event.allocation_id] = keys
        if event.experiment_id in self._uses:
            use = (len(keys), now, float("inf"))
            self._uses[event.experiment_id][event.allocation_id] = use
        for key in keys:
            holder = self._held.get(key)
            self._must(holder is None, f"slot {key} is given to {event.allocation_id}"
                       f" while {holder} holds it", now)  # fmt: skip
            known = self._nodes.get(key[0])
            there = known is not None and known[0] == key[1] and key[2] < known[1]
            self._must(there, f"{event.allocation_id} is on {key}, which is not there", now)
            self._held[key] = event.allocation_id
            self.idle.hold(key[0], 1)
            stay = Stay(key[0], key[2], event.trial_id, now)
            self.stays.append(stay)
            self._bars[key, event.allocation_id] = stay

    def _gangs_are_whole(self, events: Sequence[Event], now: float) -> None:
        for event in events:
            if isinstance(event, AllocationGranted):
                starts = {
                    (e.node_id, tuple(e.run.slots))
                    for e in events
                    if isinstance(e, StartOrdered) and e.allocation_id == event.allocation_id
                }
                places = {(p.node_id, tuple(p.slots)) for p in event.placements}
                self._must(starts == places, f"{event.allocation_id} is only partly placed", now)

    def _nobody_is_forgotten(self, now: float) -> None:
        """Nothing starves, and who was told to leave does. The first of each came first."""
        for name, since in list(self._queued.items())[:1]:
            waited = now - since
            self._must(waited <= self.patience, f"{name} has waited for {waited:.0f} s", now)
        for name, since in list(self._leaving.items())[:1]:
            left = now - since
            self._must(left <= LEAVING, f"{name} was told to leave {left:.0f} s ago", now)

    def _metered(self, event: InstanceMetered, now: float) -> None:
        for name, limit in self.budgets.get(event.pool, {}).items():
            key = event.pool, name, int(event.since // PERIODS[name])
            self._spent[key] += event.cost
            spent = self._spent[key]
            said = f"pool {event.pool} spent {spent:.2f} of {limit} {name}"
            self._must(spent <= limit + 1e-6, said, now)

    def _uses_its_budget(self, experiment_id: str, allocation_id: str, now: float) -> None:
        """What an experiment had used a while ago, while this one ran, was within its budget."""
        uses = self._uses.get(experiment_id)
        if uses is None or allocation_id not in uses:
            return
        slots, since, _ = uses[allocation_id]
        uses[allocation_id] = (slots, since, now)
        then = now - SPENDING
        used = sum(n * max(0.0, min(end, then) - begin) for n, begin, end in uses.values())
        limit = self._limits[experiment_id]
        said = f"{experiment_id} had used {used:.0f} of {limit:.0f} slot-seconds"
        self._must(used <= limit or since > then, said, now)

    def _settled(self, event: RunSettled, now: float) -> None:
        for key in self._places.get(event.allocation_id, ()):
            if key[0] == event.node_id:
                self._free(key, event.allocation_id, now)

    def _free(self, key: Key, allocation_id: str, now: float) -> None:
        if self._held.get(key) == allocation_id:
            del self._held[key]
            self.idle.hold(key[0], -1)
            self._bars.pop((key, allocation_id)).until = now

    def _removed(self, event: NodeRemoved, now: float) -> None:
        for key, allocation_id in list(self._held.items()):
            if key[:2] == (event.node_id, event.incarnation):
                self._free(key, allocation_id, now)
        if self._nodes.get(event.node_id, ("",))[0] == event.incarnation:
            self._gone(event.node_id, now)

    def _gone(self, node_id: str, now: float) -> None:
        found = self._nodes.pop(node_id, None)
        if found is not None:
            self.slot_seconds += found[1] * (now - found[2])
            self.idle.go(node_id)

    def _search(self, event: Event, now: float) -> None:
        experiment_id = str(getattr(event, "experiment_id", ""))
        if event.type == "search.accepted":
            self._searches[experiment_id] = ExperimentState.ACTIVE
            return
        state = self._searches.get(experiment_id)
        if state is None:
            return
        over = terminal(EXPERIMENT, state)
        self._must(not over, f"{event.type} of {experiment_id}, which is {state}", now)
        found = EXPERIMENT[state].get(event.type)
        if found is not None:
            self._searches[experiment_id] = ExperimentState(found)
            if terminal(EXPERIMENT, found):
                self.finished[experiment_id] = now
                self.outcomes[experiment_id] = str(found)

    def _trial(self, event: Event, now: float) -> None:
        if isinstance(event, TrialCreated):
            new = event.trial_id not in self._trials
            self._must(new, f"{event.trial_id} is created twice", now)
            self._trials[event.trial_id] = TrialState.CREATED
            return
        trial_id = str(getattr(event, "trial_id", ""))
        state = self._trials[trial_id]
        moves = any(event.type in table for table in TRIAL.values())
        if moves:
            allowed = event.type in TRIAL[state]
            self._must(allowed, f"{event.type} of {trial_id}, which is {state}", now)
            self._trials[trial_id] = TrialState(TRIAL[state][event.type])


def _covered(spans: list[tuple[float, float]]) -> float:
    """The length of the union of spans."""
    total, reached = 0.0, float("-inf")
    for since, until in sorted(spans):
        total += max(0.0, until - max(since, reached))
        reached = max(reached, until)
    return total
