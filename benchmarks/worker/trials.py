"""60 trials that only report three numbers, two at a time."""

import time
from collections.abc import Iterator

from benchmarks.worker.rows import TRIALS
from benchmarks.worker.stand import Stand


def measure(stand: Stand) -> Iterator[tuple[str, str]]:
    """Shoal's row of the table."""
    searcher = {
        "name": "random", "max_trials": TRIALS, "max_concurrent_trials": 2, "max_time": 3,
    }  # fmt: skip
    began = time.monotonic()
    experiment, _ = stand.submit(
        "three",
        searcher=searcher,
        hyperparameters={"x": {"type": "double", "minval": 0, "maxval": 1}},
    )
    state = stand.ended(experiment)["state"]
    took = time.monotonic() - began
    each = f"{took / TRIALS:.3f} s a trial ({took:.1f} s in all, {state})"
    yield f"{TRIALS} trials of three numbers, two at a time: Shoal", each
