"""Small tables of learning curves, and searches over them."""

import gzip
import json
from pathlib import Path
from typing import Any

from unit.searcher.pool import config

from shoal_contract.config import ExperimentConfig
from shoal_simulator.curves import Curves

SPACE = {"x": {"type": "categorical", "vals": [0, 1, 2, 3]}}
ROWS: list[dict[str, Any]] = [
    {"hyperparameters": {"x": 0}, "seconds": [1, 1, 1, 1], "loss": [9.0, 8.0, 7.0, 6.0]},
    {"hyperparameters": {"x": 1}, "seconds": [2, 2, 2, 2], "loss": [4.0, 3.0, 2.0, 1.0]},
    {"hyperparameters": {"x": 2}, "seconds": [1, 1, 1, 1], "loss": [5.0, 5.0, 5.0, 5.0]},
    {"hyperparameters": {"x": 3}, "seconds": [3, 3, 3, 3], "loss": [8.0, 8.0, 8.0, 0.5]},
]


def table(rows: list[dict[str, Any]] | None = None, space: dict[str, Any] | None = None) -> Curves:
    return Curves(SPACE if space is None else space, ROWS if rows is None else rows)  # type: ignore[arg-type]


def search(name: str = "grid", **changes: Any) -> ExperimentConfig:
    return config(name, **({"hyperparameters": SPACE, "max_time": 4} | changes))


def written(path: Path, **changes: Any) -> Path:
    data = {"space": SPACE, "max_time": 4, "configurations": ROWS} | changes
    text = json.dumps({key: value for key, value in data.items() if value is not None})
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
