"""What a person sees of a search, folded from its events. Pure."""

from dataclasses import dataclass, field
from typing import Any

from shoal.words import counted
from shoal_contract.config import ExperimentConfig
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    BestTrial,
    CheckpointSaved,
    Event,
    ExperimentSubmitted,
    NodeAdmitted,
    NodeDraining,
    NodeRemoved,
    SearchCancelled,
    SearchCompleted,
    SearchFailed,
    TrialCancelled,
    TrialCompleted,
    TrialCreated,
    TrialExtended,
    TrialFailed,
    TrialMeasured,
    TrialPaused,
    TrialRequested,
    TrialStopped,
)
from shoal_contract.states import Outcome


@dataclass(slots=True)
class TrialRow:
    """One trial, as a line of the table."""

    trial_id: str
    experiment_id: str
    hyperparameters: dict[str, Any]
    state: str = "created"
    slots: int = 0
    nodes: tuple[str, ...] = ()
    target: int = 0
    time: int = 0
    rung: int | None = None
    metric: float | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    """(time, metric) of each validation."""
    checkpoint_step: int = 0
    attempts: int = 0
    preemptions: int = 0
    restarts_lost: int = 0
    slot_seconds: float = 0.0


@dataclass(slots=True)
class ExperimentRow:
    """One experiment."""

    experiment_id: str
    config: ExperimentConfig
    state: str = "active"
    reason: str = ""
    best: BestTrial | None = None
    trials: int = 0


@dataclass(slots=True)
class View:
    """Everything on the screen."""

    experiments: dict[str, ExperimentRow] = field(default_factory=dict)
    trials: dict[str, TrialRow] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    """Node to what the scheduler says of it: ready, draining, gone."""
    node_slots: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Sentences on what a person would not want to miss, oldest first."""

    @property
    def over(self) -> bool:
        """Whether there are experiments, and all have ended."""
        rows = self.experiments.values()
        return bool(rows) and all(row.state not in ("active", "paused") for row in rows)

    def running(self, node: str) -> list[TrialRow]:
        """The trials that hold slots of a node."""
        return [row for row in self.trials.values() if node in row.nodes]


def apply(view: View, event: Event) -> None:
    """Change the view by one event. Events of trials that it does not know are passed over."""
    match event:
        case ExperimentSubmitted():
            view.experiments[event.experiment_id] = ExperimentRow(event.experiment_id, event.config)
        case SearchCompleted() | SearchCancelled() | SearchFailed():
            experiment = view.experiments[event.experiment_id]
            experiment.state = event.type.removeprefix("search.")
            experiment.reason, experiment.best = event.reason, event.best
            experiment.trials = event.trials
        case TrialCreated():
            view.trials[event.trial_id] = TrialRow(
                event.trial_id, event.experiment_id, event.hyperparameters
            )
        case NodeAdmitted():
            view.nodes[event.node_id] = "ready"
            view.node_slots[event.node_id] = len(event.slots)
            view.notes.append(f"{event.node_id} joined with {counted(len(event.slots), 'slot')}")
        case NodeDraining():
            view.nodes[event.node_id] = "draining"
            view.notes.append(f"{event.node_id} is going away: {event.reason}")
        case NodeRemoved():
            view.nodes[event.node_id] = "gone"
            view.notes.append(f"{event.node_id} is gone: {event.reason}")
        case _:
            row = view.trials.get(getattr(event, "trial_id", ""))
            if row is not None:
                _apply_to_trial(view, row, event)


def _apply_to_trial(view: View, row: TrialRow, event: Event) -> None:
    match event:
        case TrialRequested():
            row.state, row.target, row.attempts = "queued", event.task.target, event.attempt
        case AllocationQueued():
            row.slots = event.resources.slots_per_trial
        case AllocationGranted():
            row.state = "running"
            row.nodes = tuple(p.node_id for p in event.placements)
            row.slots = sum(len(p.slots) for p in event.placements)
            if event.attempt > 1:
                where = ", ".join(row.nodes)
                view.notes.append(
                    f"{row.trial_id} goes on at {where} from step {row.checkpoint_step}"
                )
        case AllocationEnded():
            row.nodes = ()
            row.slot_seconds += event.slots * event.seconds
            if event.outcome is Outcome.PREEMPTED:
                row.preemptions += 1
                view.notes.append(
                    f"{row.trial_id} was preempted; its checkpoint is of step {row.checkpoint_step}"
                )
            elif event.outcome is Outcome.LOST:
                row.restarts_lost += 1
                view.notes.append(f"{row.trial_id} lost its machine: {event.reason}")
            elif event.outcome is Outcome.FAILED:
                view.notes.append(f"{row.trial_id} failed: {event.reason}")
        case TrialMeasured():
            row.time, row.metric = event.time, event.metric
            if event.metric is not None:
                row.curve.append((event.time, event.metric))
            if event.rung is not None:
                row.rung = event.rung
        case TrialExtended():
            row.target = event.target
        case CheckpointSaved():
            row.checkpoint_step = max(row.checkpoint_step, event.checkpoint.step)
        case TrialPaused() | TrialCompleted() | TrialStopped() | TrialCancelled() | TrialFailed():
            row.state = event.type.removeprefix("trial.")
        case _:
            pass
