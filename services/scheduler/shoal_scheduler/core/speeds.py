"""How fast programs are on each model of slot, as far as it was measured.

A program is what the same command starts with as many slots. On a model that it never ran on, it
is taken to be faster or slower than on one that it did by as much as other programs are.
"""

from math import exp, log

from shoal_contract.events import Task
from shoal_contract.resources import Resources
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.room import Room

WEIGHT = 0.1
"""Of the newest comparison of two models."""
LEAST = 1e-9
"""Steps a second that count as standing still."""


def program(resources: Resources, task: Task) -> str:
    """What the speed of a task is a property of."""
    return f"{resources.least} {' '.join(task.entrypoint)}"


class Speeds:
    """Gains: a program's speed on a model over its mean speed on the slots of a pool."""

    def __init__(
        self, known: dict[str, dict[str, float]], ratios: dict[str, float], room: Room, pool: str
    ) -> None:
        self._known, self._ratios = known, ratios
        self._sizes = {model: room.size(pool, model) for model in room.models(pool)}
        self._same = dict.fromkeys(self._sizes, 1.0)
        self._gains: dict[str, dict[str, float]] = {}
        self._means: dict[str, float] = {}

    def gains(self, name: str) -> dict[str, float]:
        """Model to gain; 1 on each as long as nothing was measured."""
        if len(self._sizes) < 2:
            return self._same
        if name not in self._gains:
            speeds = {model: self._speed(name, model) for model in self._sizes}
            mean = self.mean(name)
            self._gains[name] = {m: speed / mean if mean else 1 for m, speed in speeds.items()}
        return self._gains[name]

    def mean(self, name: str) -> float:
        """Steps a second of one average slot of the pool; 1 as long as nothing was measured."""
        if name not in self._means:
            total = sum(self._sizes.values())
            speed = sum(self._speed(name, m) * n for m, n in self._sizes.items())
            self._means[name] = speed / total if total else 1.0
        return self._means[name]

    def left(
        self, allocation: Allocation, name: str, stride: float | None, now: float
    ) -> float | None:
        """Slot-seconds of average slots up to an allocation's target; None: nobody can tell.

        `name`: its program, of which `stride` is the units of the time metric a step.
        """
        steps = self._steps(allocation, name, stride, now)
        return None if steps is None else steps / max(self.mean(name), LEAST)

    def seconds(
        self,
        allocation: Allocation,
        name: str,
        stride: float | None,
        now: float,
        slots: dict[str, int],
    ) -> float | None:
        """How long an allocation takes up to its target on so many slots of each model: a gang is
        as fast as its slowest slot. None: nobody can tell."""
        steps = self._steps(allocation, name, stride, now)
        if steps is None or not slots:
            return None
        slowest = min(self._speed(name, model) for model in slots)
        return steps / max(slowest * sum(slots.values()), LEAST)

    def _steps(
        self, allocation: Allocation, name: str, stride: float | None, now: float
    ) -> float | None:
        if not stride or name not in self._known:
            return None
        return max(0.0, allocation.task.target / stride - _done(allocation, now))

    def _speed(self, name: str, model: str) -> float:
        known = self._known.get(name, {})
        if model in known or not known:
            return known.get(model, 1.0)
        guesses = [
            log(max(speed, LEAST)) + self._ratios.get(pair(model, other), 0.0)
            for other, speed in known.items()
        ]
        return exp(sum(guesses) / len(guesses))


def _done(allocation: Allocation, now: float) -> float:
    """Steps that a trial has made: as reported last and at its speed since, or as it was saved."""
    progress, task = allocation.progress, allocation.task
    if progress is not None and progress.step:
        return progress.step + (progress.speed or 0.0) * max(0.0, now - progress.at)
    if task.checkpoint is None or task.inherits == "weights":
        return 0.0
    return float(task.checkpoint.step)


def pair(model: str, other: str) -> str:
    """The key of how much faster a model is than another."""
    return f"{model}/{other}"


def learn(ratios: dict[str, float], known: dict[str, float], model: str) -> None:
    """Take note of how a program's newest speed, on `model`, compares with its others."""
    for other, speed in known.items():
        if other != model:
            ratio = log(max(known[model], LEAST) / max(speed, LEAST))
            before = ratios.get(pair(model, other), ratio)
            ratios[pair(model, other)] = before + WEIGHT * (ratio - before)
            ratios[pair(other, model)] = -ratios[pair(model, other)]
