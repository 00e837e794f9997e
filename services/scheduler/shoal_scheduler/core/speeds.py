"""How fast programs are on each model of slot, as far as it was measured.

A program is what the same command starts with as many slots. On a model that it never ran on, it
is taken to be faster or slower than on one that it did by as much as other programs are.
"""

from math import exp, log

from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.room import Room

WEIGHT = 0.1
"""Of the newest comparison of two models."""
LEAST = 1e-9
"""Steps a second that count as standing still."""


def program(allocation: Allocation) -> str:
    """What an allocation's speed is a property of."""
    return f"{allocation.least} {' '.join(allocation.task.entrypoint)}"


class Speeds:
    """Gains: a program's speed on a model over its mean speed on the slots of a pool."""

    def __init__(
        self, known: dict[str, dict[str, float]], ratios: dict[str, float], room: Room, pool: str
    ) -> None:
        self._known, self._ratios = known, ratios
        self._sizes = {model: room.size(pool, model) for model in room.models(pool)}
        self._gains: dict[str, dict[str, float]] = {}

    def gains(self, name: str) -> dict[str, float]:
        """Model to gain; 1 on each as long as nothing was measured."""
        if name not in self._gains:
            speeds = {model: self._speed(name, model) for model in self._sizes}
            total = sum(self._sizes.values())
            mean = sum(speeds[m] * n for m, n in self._sizes.items()) / total if total else 1
            self._gains[name] = {m: speed / mean if mean else 1 for m, speed in speeds.items()}
        return self._gains[name]

    def _speed(self, name: str, model: str) -> float:
        known = self._known.get(name, {})
        if model in known or not known:
            return known.get(model, 1.0)
        guesses = [
            log(max(speed, LEAST)) + self._ratios.get(pair(model, other), 0.0)
            for other, speed in known.items()
        ]
        return exp(sum(guesses) / len(guesses))


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
