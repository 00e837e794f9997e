"""Recorded learning curves, in which any configuration of a space finds its nearest."""

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal_contract.ranges import Categorical, LogRange, flatten


class CurvesError(ValueError):
    """A file that holds no learning curves, or a search that does not fit to them."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One configuration, trained in full."""

    metrics: Mapping[str, list[float]]
    """For each metric its value after each unit of training."""
    seconds: list[float]
    """How long each unit took."""


class Curves:
    """A table of learning curves over a grid of configurations.

    The file is JSON, perhaps gzipped: `space` (ranges, as in an experiment file), `max_time`, and
    `configurations`, each with `hyperparameters`, `seconds` and lists of metrics.
    `benchmarks/curves/record.py` records one.
    """

    def __init__(self, space: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> None:
        self.leaves = flatten(space)
        self._grid: dict[str, list[Any]] = {name: [] for name in self.leaves}
        self._rows: dict[tuple[Any, ...], Curve] = {}
        for row in rows:
            values = flatten(row["hyperparameters"])
            key = tuple(values[name] for name in self.leaves)
            for name, value in zip(self.leaves, key, strict=True):
                if value not in self._grid[name]:
                    self._grid[name].append(value)
            metrics = {
                name: curve
                for name, curve in row.items()
                if name not in ("hyperparameters", "seconds")
            }
            if any(len(curve) != len(row["seconds"]) for curve in metrics.values()):
                raise ValueError(f"the lists of {row['hyperparameters']} are not equally long")
            self._rows[key] = Curve(metrics, row["seconds"])
        if not self._rows:
            raise ValueError("it has no configurations")
        self.max_time = min(len(curve.seconds) for curve in self._rows.values())

    @classmethod
    def load(cls, path: Path) -> "Curves":
        """Read a file. Raises CurvesError with what is wrong with it."""
        try:
            data = path.read_bytes()
            table = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
            return cls(table["space"], table["configurations"])
        except OSError as error:
            raise CurvesError(f"{path} cannot be read: {error.strerror or error}") from error
        except (ValueError, LookupError, TypeError, AttributeError, EOFError, zlib.error) as error:
            raise CurvesError(f"{path} holds no learning curves: {error!r}") from error

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, hyperparameters: Mapping[str, Any]) -> Curve:
        """The curve of the configuration that is nearest in each hyperparameter (in the exponent
        for `log`). Raises CurvesError if one is missing, or a value is none of the listed."""
        values = flatten(hyperparameters)
        key = []
        for name, points in self._grid.items():
            if name not in values:
                raise CurvesError(f"the curves know {name!r}, which the search leaves out")
            key.append(self._nearest(name, points, values[name]))
        try:
            return self._rows[tuple(key)]
        except KeyError as error:
            raise CurvesError(
                f"no curve was recorded for {dict(zip(self._grid, key, strict=True))}"
            ) from error

    def _nearest(self, name: str, points: list[Any], value: Any) -> Any:
        leaf = self.leaves[name]
        if isinstance(leaf, Categorical) or not isinstance(value, int | float):
            if value not in points:
                raise CurvesError(f"{name}: {value!r} was not recorded; there are {points}")
            return value
        if isinstance(leaf, LogRange):
            return min(points, key=lambda point: abs(math.log(point) - math.log(value)))
        return min(points, key=lambda point: abs(point - value))

    def best(self, metric: str, smaller_is_better: bool) -> float:
        """The best final value of any configuration. Raises CurvesError if none has the metric."""
        finals = [c.metrics[metric][-1] for c in self._rows.values() if metric in c.metrics]
        finals = [value for value in finals if math.isfinite(value)]
        if not finals:
            raise CurvesError(f"the curves have no metric {metric!r}")
        return min(finals) if smaller_is_better else max(finals)
