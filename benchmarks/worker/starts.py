"""From the command, or the submission, to the first step of all ranks."""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.worker.stand import Stand, end, rows, shown, torchrun, until

REPEATS = 5


def measure(stand: Stand, folder: Path) -> Iterator[tuple[str, str]]:
    """Rows of the table: what, and how long."""
    for ranks in (1, 2):
        for name, cold in (("warm", False), ("cold", True)):
            found = []
            for _ in range(REPEATS if not cold else 3):
                resources = {"slots_per_trial": ranks}
                began = time.time()
                experiment, file = stand.submit("first", cold=cold, resources=resources)
                stand.ended(experiment)
                found.append(max(row["time"] for row in rows(file)) - began)
            yield f"submit to first step, {ranks} rank(s): Shoal, {name}", shown(found, "s")
        found = []
        for k in range(3):
            file = folder / f"torchrun-{ranks}-{k}.jsonl"
            began = time.time()
            process = torchrun(file, ranks, "first")
            until(lambda file=file, ranks=ranks: len(rows(file)) == ranks)  # type: ignore[misc]
            found.append(max(row["time"] for row in rows(file)) - began)
            end(process)
        yield f"command to first step, {ranks} rank(s): torchrun", shown(found, "s")


def ray_train(folder: Path) -> Iterator[tuple[str, str]]:
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

            from benchmarks.worker.stand import SCRIPT

            began = time.time()
            TorchTrainer(
                loop,
                train_loop_config={"file": str(file), "script": str(SCRIPT)},
                scaling_config=ScalingConfig(num_workers=ranks, resources_per_worker={"CPU": 1}),
                run_config=RunConfig(storage_path=str(folder / "ray")),
            ).fit()
            found.append(max(row["time"] for row in rows(file)) - began)
        yield f"fit() to first step, {ranks} rank(s): Ray Train, Ray is up", shown(found, "s")
