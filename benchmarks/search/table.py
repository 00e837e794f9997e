"""Recorded learning curves, looked up by hyperparameters, and the space they were recorded over."""

import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Config = dict[str, Any]
Space = Mapping[str, Mapping[str, Any]]
"""Ranges in the dialect of an experiment's file: type log, double, int or categorical."""

SLACK = 0.01
"""How far below the best final result the target lies, as a share of it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What one configuration did: after each epoch the metric (larger is better) and the seconds
    that the epoch took."""

    metric: list[float]
    seconds: list[float]


class Table:
    """Curves over a full grid. Any point of the space has one: that of the nearest grid point."""

    def __init__(self, content: Mapping[str, Any], metric: str = "accuracy") -> None:
        self.space: Space = content["space"]
        self.max_time = int(content["max_time"])
        self.configurations: list[Config] = []
        self._axes = {name: _axis(spec) for name, spec in self.space.items()}
        self._curves: dict[tuple[int, ...], Curve] = {}
        for row in content["configurations"]:
            self.configurations.append(row["hyperparameters"])
            curve = Curve(row[metric], row["seconds"])
            self._curves[self._place(row["hyperparameters"])] = curve
            if not len(curve.metric) == len(curve.seconds) == self.max_time:
                raise ValueError(f"not {self.max_time} epochs: {row['hyperparameters']}")
        if not len(self._curves) == len(content["configurations"]) == self.points:
            raise ValueError(f"{len(self._curves)} curves for a grid of {self.points}")

    @classmethod
    def load(cls, path: Path) -> "Table":
        """Read what `benchmarks/curves/record.py` wrote."""
        return cls(json.loads(gzip.decompress(path.read_bytes())))

    def row(self, hyperparameters: Config) -> Curve:
        """The curve of the nearest grid point, hyperparameter by hyperparameter; for `log`, nearest
        in the exponent."""
        return self._curves[self._place(hyperparameters)]

    @property
    def points(self) -> int:
        """How many configurations the grid has."""
        return math.prod(len(axis) for axis in self._axes.values())

    @property
    def best(self) -> float:
        """The best final result of all."""
        return max(curve.metric[-1] for curve in self._curves.values())

    @property
    def target(self) -> float:
        """Reached when any report of any trial, after any epoch, is at least this."""
        return (1 - SLACK) * self.best

    @property
    def units(self) -> int:
        """Epochs of the full-length grid: every configuration in full."""
        return self.points * self.max_time

    @property
    def seconds(self) -> float:
        """Virtual seconds of the full-length grid on one worker."""
        return sum(sum(curve.seconds) for curve in self._curves.values())

    def _place(self, hyperparameters: Config) -> tuple[int, ...]:
        """The index of the nearest grid point, one number for each hyperparameter."""
        place = []
        for name, axis in self._axes.items():
            spec, value = self.space[name], hyperparameters[name]
            if spec["type"] == "categorical":
                place.append(axis.index(value))
                continue
            at = math.log(value, spec.get("base", 10)) if spec["type"] == "log" else value
            place.append(min(range(len(axis)), key=lambda i: abs(axis[i] - at)))
        return tuple(place)


def _axis(spec: Mapping[str, Any]) -> list[Any]:
    """The grid's values of one hyperparameter; exponents for `log`."""
    match spec["type"]:
        case "categorical":
            return list(spec["vals"])
        case "log" | "double":
            return list(np.linspace(spec["minval"], spec["maxval"], spec["count"]))
        case "int":
            low, high = spec["minval"], spec["maxval"]
            return list(np.linspace(low, high, spec.get("count", high - low + 1)).round())
        case other:
            raise ValueError(f"no grid over {other}")


def draw(space: Space, rng: np.random.Generator) -> Config:
    """One configuration, uniform over each range; over the exponent for `log`."""
    return {name: _draw(spec, rng) for name, spec in space.items()}


def _draw(spec: Mapping[str, Any], rng: np.random.Generator) -> Any:
    match spec["type"]:
        case "categorical":
            return spec["vals"][int(rng.integers(len(spec["vals"])))]
        case "log":
            return float(spec.get("base", 10) ** rng.uniform(spec["minval"], spec["maxval"]))
        case "double":
            return float(rng.uniform(spec["minval"], spec["maxval"]))
        case "int":
            return int(rng.integers(spec["minval"], spec["maxval"] + 1))
        case other:
            raise ValueError(f"no way to draw from {other}")
