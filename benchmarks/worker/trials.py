"""60 trials that only report three numbers, two at a time."""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.worker.stand import Stand

TRIALS = 60


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


def ray_tune(folder: Path) -> Iterator[tuple[str, str]]:
    """Ray Tune's, in a Ray that is up already."""
    from ray import tune

    def trial(config: dict[str, float]) -> None:
        for step in (1, 2, 3):
            tune.report({"loss": 1.0 / step})

    began = time.monotonic()
    tune.Tuner(
        trial,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=TRIALS, max_concurrent_trials=2),
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    ).fit()
    took = time.monotonic() - began
    each = f"{took / TRIALS:.3f} s a trial ({took:.1f} s in all)"
    yield f"{TRIALS} trials of three numbers, two at a time: Ray Tune, Ray is up", each
