"""From the command, or the submission, to the first step of all ranks."""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.worker.rows import rows, shown
from benchmarks.worker.stand import RANKS, Stand, end, torchrun, until

REPEATS = 5


def measure(stand: Stand, folder: Path) -> Iterator[tuple[str, str]]:
    """Rows of the table: what, and how long."""
    for ranks in RANKS:
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
