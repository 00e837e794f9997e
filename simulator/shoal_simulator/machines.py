"""Nodes that run the real worker's core, and gangs that train at the speed of their slots."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from shoal_contract.events import (
    Checkpoint,
    CheckpointSaved,
    Event,
    ExtendOrdered,
    NodeJoined,
    NodeLeft,
    NodeRemoved,
    RunAccepted,
    RunExtended,
    RunStarted,
    RunStopping,
    Slot,
    StartOrdered,
    StopOrdered,
    Task,
    ValidationReported,
)
from shoal_contract.states import StopReason
from shoal_decider import Message, settle
from shoal_simulator.world import Network
from shoal_worker.core.decider import WorkerDecider
from shoal_worker.core.messages import DrainRequested, RankEnded, RanksStarted
from shoal_worker.core.state import Run, State

ORDERS = (StartOrdered, ExtendOrdered, StopOrdered)


@dataclass(slots=True)
class Pace:
    """How long things take, in seconds."""

    start: float = 2.0
    """From an order to running ranks."""
    stop: float = 1.0
    """From the word to leave, and a checkpoint, to the last rank's end."""
    checkpoint_every: int = 1
    """Units of training between checkpoints."""
    silence: float = 10.0
    """After which a node that is not heard counts as lost."""


@dataclass(slots=True)
class Gang:
    """One allocation's ranks, training together."""

    task: Task
    world_size: int
    slots: list[Slot] = field(default_factory=list)
    """Of the ranks that exist, or did."""
    units: int = 0
    target: int = 0
    saved: int = 0
    runs: dict[str, "Node"] = field(default_factory=dict)
    """Runs whose ranks exist, and where."""
    ranks: int = 0
    training: bool = False
    broken: bool = False


class Training:
    """All gangs. `speed` says how many seconds a unit takes, `quality` what is measured."""

    def __init__(
        self,
        network: Network,
        pace: Pace,
        speed: Callable[[Task, list[Slot]], float],
        quality: Callable[[Task, int], float],
    ) -> None:
        self.network, self.pace, self._speed, self._quality = network, pace, speed, quality
        self.gangs: dict[str, Gang] = {}
        self.units = 0
        """Units trained, those that were trained again included."""

    def started(self, node: "Node", run: Run) -> None:
        """The ranks of one run exist; when all of the gang's do, it trains."""
        order = run.order
        gang = self.gangs.get(order.allocation_id)
        if gang is None:
            own = order.task.checkpoint if order.task.inherits != "weights" else None
            begun = own.step if own is not None else 0
            gang = Gang(order.task, order.world_size, units=begun, saved=begun)
            self.gangs[order.allocation_id] = gang
        gang.target = max(gang.target, run.target)
        gang.runs[order.run_id] = node
        gang.ranks += len(order.slots)
        slots = [node.slots[number] for number in order.slots]
        gang.slots += slots
        if gang.ranks == gang.world_size:
            self._go_on(order.allocation_id, gang)

    def extended(self, allocation_id: str, target: int) -> None:
        """Train on."""
        gang = self.gangs.get(allocation_id)
        if gang is not None and target > gang.target:
            gang.target = target
            self._go_on(allocation_id, gang)

    def leaves(self, allocation_id: str, run_id: str, save: bool) -> None:
        """One run's ranks end, with a checkpoint of the gang if it is still whole."""
        gang = self.gangs.get(allocation_id)
        if gang is None:
            return
        if save and not gang.broken and gang.ranks == gang.world_size:
            self._save(allocation_id, gang)
        self.lost(allocation_id, run_id)

    def lost(self, allocation_id: str, run_id: str) -> None:
        """One run's ranks are gone: the others can do nothing without them."""
        gang = self.gangs.get(allocation_id)
        if gang is not None:
            gang.broken = True
            gang.runs.pop(run_id, None)
            if not gang.runs:
                del self.gangs[allocation_id]

    def _go_on(self, allocation_id: str, gang: Gang) -> None:
        whole = gang.ranks == gang.world_size and not gang.broken
        if whole and not gang.training and gang.units < gang.target:
            gang.training = True
            seconds = self._speed(gang.task, gang.slots)
            self.network.clock.after(seconds, lambda: self._trained(allocation_id, gang))

    def _trained(self, allocation_id: str, gang: Gang) -> None:
        gang.training = False
        if gang.broken or self.gangs.get(allocation_id) is not gang:
            return
        gang.units += 1
        self.units += 1
        task, now = gang.task, self.network.clock.now
        self.network.publish(
            [
                ValidationReported(
                    experiment_id=task.experiment_id,
                    trial_id=task.trial_id,
                    allocation_id=allocation_id,
                    attempt=task.attempt,
                    step=gang.units,
                    time=gang.units,
                    metrics={task.metric: self._quality(task, gang.units)},
                    at=now,
                )
            ]
        )
        if gang.units % self.pace.checkpoint_every == 0:
            self._save(allocation_id, gang)
        self._go_on(allocation_id, gang)

    def _save(self, allocation_id: str, gang: Gang) -> None:
        if gang.units <= gang.saved:
            return
        gang.saved = gang.units
        task = gang.task
        found = Checkpoint(url=f"memory://{task.trial_id}", step=gang.units, attempt=task.attempt)
        self.network.publish(
            [
                CheckpointSaved(
                    experiment_id=task.experiment_id,
                    trial_id=task.trial_id,
                    allocation_id=allocation_id,
                    checkpoint=found,
                )
            ]
        )


class Node:
    """One machine: the worker's core, and its slots."""

    def __init__(
        self,
        node_id: str,
        pool: str,
        slots: list[Slot],
        training: Training,
        *,
        instance_id: str | None = None,
        on_death: Callable[["Node"], None],
    ) -> None:
        self.node_id, self.pool, self.slots, self.training = node_id, pool, slots, training
        self.instance_id, self._on_death = instance_id, on_death
        self.lives, self.alive = 0, False
        self._count = 0
        self._state: State
        self._decider: WorkerDecider
        training.network.subscribe(self._hears, self._receive)

    @property
    def incarnation(self) -> str:
        """Which of its lives this is."""
        return f"i{self.lives}"

    def join(self) -> None:
        """Begin a life."""
        self.lives += 1
        self.alive = True
        self._decider = WorkerDecider(self.node_id, self.incarnation)
        self._state = self._decider.initial()
        self.training.network.publish(
            [
                NodeJoined(
                    node_id=self.node_id,
                    incarnation=self.incarnation,
                    pool=self.pool,
                    host=self.node_id,
                    slots=self.slots,
                    ports=list(range(20000, 20000 + 4 * len(self.slots))),
                    instance_id=self.instance_id,
                )
            ]
        )

    def drain(self, reason: str, seconds: float) -> None:
        """Tell it that it goes away."""
        if self.alive:
            self._decide(DrainRequested(reason=reason, seconds=seconds))

    def die(self) -> None:
        """Vanish, with everything on it."""
        if self.alive:
            self._stop()
            self._on_death(self)

    def _stop(self) -> None:
        self.alive = False
        for run_id, run in self._state.runs.items():
            self.training.lost(run.order.allocation_id, run_id)

    def _hears(self, event: Event) -> bool:
        if isinstance(event, (*ORDERS, NodeRemoved)):
            return event.node_id == self.node_id and event.incarnation == self.incarnation
        return False

    def _receive(self, _: str, event: Event) -> None:
        if not self.alive or getattr(event, "incarnation", "") != self.incarnation:
            return
        if isinstance(event, NodeRemoved):  # given up by the scheduler: nothing of it may go on
            self._stop()
            self.training.network.clock.after(1.0, self._rejoin)
            return
        self._decide(event)

    def _rejoin(self) -> None:
        if not self.alive and self.instance_id is None:
            self.join()

    def _decide(self, body: BaseModel) -> None:
        self._count += 1
        message = Message(f"m{self._count}", self.training.network.clock.now, body)
        events = self._decider.decide(self._state, message)
        self._state = settle(self._decider, self._state, events)
        if events:
            self.training.network.publish(events)
        for event in events:
            self._act(event)

    def _act(self, event: Event) -> None:
        clock, pace, life = self.training.network.clock, self.training.pace, self.lives
        match event:
            case RunAccepted():
                started = RanksStarted(run_id=event.run_id, pids=[])
                clock.after(pace.start, lambda: self._later(life, started))
            case RunStarted():
                self.training.started(self, self._state.runs[event.run_id])
            case RunExtended():
                run = self._state.runs[event.run_id]
                self.training.extended(run.order.allocation_id, event.target)
            case RunStopping():
                self._leave(event)
            case NodeLeft():
                self._stop()
            case _:
                pass

    def _leave(self, event: RunStopping) -> None:
        clock, life = self.training.network.clock, self.lives
        save = event.reason is not StopReason.GANG_BROKEN
        self.training.leaves(event.allocation_id, event.run_id, save)
        for rank in self._state.runs[event.run_id].ranks:
            ended = RankEnded(run_id=event.run_id, rank=rank, exit_code=0, tail="")
            clock.after(self.training.pace.stop, lambda ended=ended: self._later(life, ended))  # type: ignore[misc]

    def _later(self, life: int, body: BaseModel) -> None:
        if self.alive and life == self.lives:
            self._decide(body)


def quality(task: Task, units: int) -> float:
    """A learning curve of a configuration: it begins at 1, and ends between 0 and 1 by chance."""
    end = random.Random(task.seed).random()  # noqa: S311 - reproducible, not secret
    value = end + (1 - end) / (1 + units)
    return value if task.smaller_is_better else 1 - value


def speed(
    table: Mapping[str, tuple[Mapping[str, float] | float, float]],
) -> Callable[[Task, list[Slot]], float]:
    """Seconds a unit of a gang, by experiment: what a slot takes, a number or by its model (the
    slowest of a gang counts), over the number of slots to a power."""

    def seconds(task: Task, slots: list[Slot]) -> float:
        found, scaling = table[task.experiment_id]
        if isinstance(found, Mapping):
            known: Mapping[str, float] = found
            slowest = max(known.get(slot.model, max(known.values())) for slot in slots)
        else:
            slowest = found
        return float(slowest / len(slots) ** scaling)

    return seconds
