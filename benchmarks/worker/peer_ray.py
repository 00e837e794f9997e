"""`python -m benchmarks.worker.peer_ray FOLDER PART...`: Ray Train and Ray Tune, a JSON list a row.

Runs in an environment that has Ray; Shoal need not be there.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.worker.rows import SCRIPT, TRIALS, rows, shown

PYTHON = Path(".venv-bench/bin/python")


def measure(folder: Path, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Rows of the table, from a process that has Ray."""
    if not PYTHON.exists():
        yield "Ray Train, Ray Tune", f"not measured: there is no {PYTHON}"
        return
    command = [str(PYTHON), "-m", "benchmarks.worker.peer_ray", str(folder), *parts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("["):
                what, value = json.loads(line)
                yield what, value
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")


def train(folder: Path) -> Iterator[tuple[str, str]]:
    """Ray Train, in a Ray that is up already."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    for ranks in (1, 2):
        found = []
        for k in range(3):
            file = folder / f"ray-{ranks}-{k}.jsonl"

            def loop(config: dict[str, str]) -> None:
                import sys

                sys.argv = ["script.py", "first", config["file"]]
                import runpy

                script = runpy.run_path(config["script"])
                script["Training"]().step()
                script["say"](rank=0)

            began = time.time()
            TorchTrainer(
                loop,
                train_loop_config={"file": str(file), "script": str(SCRIPT)},
                scaling_config=ScalingConfig(num_workers=ranks, resources_per_worker={"CPU": 1}),
                run_config=RunConfig(storage_path=str(folder / "ray")),
            ).fit()
            found.append(max(row["time"] for row in rows(file)) - began)
        yield f"fit() to first step, {ranks} rank(s): Ray Train, Ray is up", shown(found, "s")


def tune(folder: Path) -> Iterator[tuple[str, str]]:
    """Ray Tune's, in a Ray that is up already."""
    import ray.tune

    def trial(config: dict[str, float]) -> None:
        for step in (1, 2, 3):
            ray.tune.report({"loss": 1.0 / step})

    began = time.monotonic()
    ray.tune.Tuner(
        trial,
        param_space={"x": ray.tune.uniform(0, 1)},
        tune_config=ray.tune.TuneConfig(num_samples=TRIALS, max_concurrent_trials=2),
        run_config=ray.tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    ).fit()
    took = time.monotonic() - began
    each = f"{took / TRIALS:.3f} s a trial ({took:.1f} s in all)"
    yield f"{TRIALS} trials of three numbers, two at a time: Ray Tune, Ray is up", each


def main(folder: Path, parts: Sequence[str]) -> None:
    """Start Ray, and write a line for each row."""
    import ray

    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        for part, found in (("trials", tune), ("starts", train)):
            if part in parts:
                for row in found(folder):
                    print(json.dumps(row), flush=True)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
