"""`python -m benchmarks.worker [PART...]` prints a table; with all parts it is also written to
`benchmarks/results/worker.md`, or `worker-cuda.md` where torch sees a GPU.

Parts: stalls, speed, starts, trials, turns, points, kills; all when none is named. With GPUs,
trials and kills are left out: they want several machines here, and so is Ray. Its rows need
`.venv-bench` (`benchmarks/requirements.txt`); where it is missing the table says so.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.recorded import RESULTS, record
from benchmarks.worker import kills, peer_ray, speed, starts, trials
from benchmarks.worker.stand import CUDA, Stand, stand

RESULT = RESULTS / ("worker-cuda.md" if CUDA else "worker.md")
NOT_ON_GPUS = frozenset({"trials", "kills"})
Rows = Iterator[tuple[str, str]]


def main(wanted: Sequence[str]) -> None:
    """Measure, and write the table if it is whole."""
    folder = Path(tempfile.mkdtemp(prefix="shoal-bench-"))
    try:
        rows = list(_rows(folder, set(wanted)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if wanted:
        return
    machine = f"{os.cpu_count()} cores ({platform.processor() or platform.machine()})"
    if CUDA:
        machine += f" and {torch.cuda.device_count()} {torch.cuda.get_device_name()}"
    head = (
        f"# Worker\n`python -m benchmarks.worker` on {machine}, load {os.getloadavg()[0]:.1f} at"
        f" the end, Python {platform.python_version()}, torch {torch.__version__}. Medians, with"
        " the range and the number of runs.\n\n| what | measured |\n|---|---|\n"
    )
    record(RESULT, head + "".join(f"| {what} | {value} |\n" for what, value in rows))
    print(f"written to {RESULT}")


def _rows(folder: Path, wanted: set[str]) -> Rows:
    def on(part: str) -> bool:
        return (not wanted or part in wanted) and not (CUDA and part in NOT_ON_GPUS)

    if on("stalls"):
        yield from _shown(speed.stalls(folder))
    if on("speed"):
        yield from _shown(speed.overhead(folder))
    parts: dict[str, Callable[[Stand], Rows]] = {
        "starts": lambda s: starts.measure(s, folder),
        "trials": trials.measure,
        "turns": speed.turns,
        "points": speed.points,
    }
    if any(on(part) for part in parts):
        with stand(folder / "one") as one:
            for part, measure in parts.items():
                if on(part):
                    yield from _shown(measure(one))
    if on("kills"):
        with stand(folder / "two", slots=1, machines=2) as two:
            yield from _shown(kills.measure(two))
        yield from _shown(kills.torchrun_restart(folder))
    if not CUDA and (with_ray := [part for part in ("trials", "starts") if on(part)]):
        yield from _shown(peer_ray.measure(folder, with_ray))


def _shown(rows: Rows) -> Rows:
    for what, value in rows:
        print(f"{what:75} {value}", flush=True)
        yield what, value


if __name__ == "__main__":
    main(sys.argv[1:])
