"""Run contenders over seeds, in a pool of processes, and summarise."""

import json
import logging
import math
import multiprocessing
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.search.clock import Clock
from benchmarks.search.settings import Settings
from benchmarks.search.table import Table

HORIZON = 1 / 40
"""How long the area is taken over, as a share of the grid's virtual time."""
LIMIT = 1.0
"""When a run without success ends, as a share of the same."""
PATIENCE = 120.0
"""Seconds of processor time after which a contender that has not come there is given up."""


@dataclass(frozen=True, slots=True)
class Task:
    """One contender, one seed."""

    contender: str
    settings: Settings
    table: Path

    def __str__(self) -> str:
        s = self.settings
        where = f"{self.table.stem}, {s.trials} trials, {s.workers} workers"
        return f"{self.contender}, {where}, divisor {s.divisor}, seed {s.seed}"


@lru_cache
def load(path: Path) -> Table:
    """The table, read once in each process."""
    return Table.load(path)


def play(task: Task) -> dict[str, Any]:
    """One run: what was measured, as plain data."""
    from benchmarks.search.contenders import CONTENDERS

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    table, settings = load(task.table), task.settings
    contender = CONTENDERS[task.contender](table, settings)
    grid = table.seconds / settings.workers
    outcome = Clock(table, contender, settings.workers).run(HORIZON * grid, LIMIT * grid, PATIENCE)
    return {"contender": task.contender, **asdict(settings), **asdict(outcome)}


def play_all(
    play: Callable[[Any], dict[str, Any]],
    tasks: Sequence[Any],
    processes: int = 2,
    kept: Path | None = None,
) -> list[dict[str, Any]]:
    """All runs, in the order of the tasks. Fresh processes, which import only what they need.

    Each run that ends is appended to the file `kept`, and one that is there is not played again.
    """
    done = recorded(kept) if kept and kept.exists() else {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(play, task): task for task in tasks if str(task) not in done}
        for number, future in enumerate(as_completed(futures), len(tasks) - len(futures) + 1):
            task = str(futures[future])
            print(f"{number}/{len(tasks)} {task}", file=sys.stderr, flush=True)
            try:
                done[task] = future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            if kept:
                with kept.open("a") as file:
                    file.write(json.dumps([task, done[task]]) + "\n")
    return [done[str(task)] for task in tasks]


def recorded(kept: Path) -> dict[str, dict[str, Any]]:
    """The runs of such a file, by task; a last line that was cut short counts for nothing."""
    whole = kept.read_text().rpartition("\n")[0]
    kept.write_text(whole + "\n" if whole else "")
    return dict(json.loads(line) for line in whole.splitlines())


def quantile(values: list[float | None], share: float) -> float:
    """Linear between neighbours; a run that never reached the target counts as infinite.

    >>> quantile([3, 1, None], 0.5), quantile([3, 1, None], 0.75)
    (3, inf)
    """
    ordered = sorted(math.inf if value is None else value for value in values)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low if low == high else low + (high - low) * (place - math.floor(place))


def median_within(values: list[float | None]) -> tuple[float, float]:
    """Where the true median lies, with about 95 % confidence, by order statistics: the interval's
    ends are values, so nothing is assumed of their distribution.

    >>> median_within([*range(1, 21)])
    (6, 15)
    """
    ordered = sorted(math.inf if value is None else value for value in values)
    low = max(0, math.floor(len(ordered) / 2 - 0.98 * math.sqrt(len(ordered))))
    return ordered[low], ordered[-1 - low]


def summary(runs: list[dict[str, Any]], grid_units: int) -> dict[str, Any]:
    """One row of the report: all seeds of one contender."""
    units = [run["units_to_target"] for run in runs]
    median = quantile(units, 0.5)
    return {
        "contender": runs[0]["contender"],
        "units": [quantile(units, share) for share in (0.25, 0.5, 0.75)],
        "within": median_within(units),
        "share": median / grid_units,
        "seconds": quantile([run["seconds_to_target"] for run in runs], 0.5),
        "area": statistics.median(run["area"] for run in runs),
        "per_second": sum(run["decisions"] for run in runs) / sum(run["cpu"] for run in runs),
        "reached": sum(value is not None for value in units),
        "seeds": len(runs),
    }


def best_after(runs: list[dict[str, Any]], units: int) -> float:
    """The median over seeds of the best result within so many units; the curve of the plot."""
    found = []
    for run in runs:
        found.append(max((v for u, _, v in run["best"] if u <= units), default=0.0))
    return statistics.median(found)
