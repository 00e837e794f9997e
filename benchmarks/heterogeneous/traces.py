"""Gavel's measured throughputs and its job traces from Philly (Narayanan et al., OSDI 2020)."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

MODELS = ("v100", "p100", "k80")


@dataclass(frozen=True, slots=True)
class Job:
    """One training job."""

    name: str
    kind: str
    steps: float
    arrival: float
    """Seconds."""
    slots: int
    speeds: dict[str, float]
    """Model to steps a second; a model that it cannot run on is not in it."""

    @property
    def alone(self) -> float:
        """Seconds that it would take on slots drawn evenly from the models it can run on."""
        return self.steps / (sum(self.speeds.values()) / len(self.speeds))


def read_jobs(folder: Path, trace: str, first: int) -> list[Job]:
    """The first jobs of a trace. Raises SystemExit, saying what to do, without the data."""
    try:
        table = json.loads((folder / "gavel" / "throughputs.json").read_text())
        rows = list(csv.DictReader((folder / "gavel" / f"jobs-{trace}.csv").open()))
    except OSError as error:
        raise SystemExit(
            f"{error.filename} cannot be read. The data is Gavel's"
            " (github.com/stanford-futuredata/gavel): throughputs.json as GPU -> job type -> slots"
            " -> steps/s, traces as job_type,total_steps,arrival_s,slots. Give the folder with a"
            " `gavel` folder in it as the argument, or in SHOAL_DATA."
        ) from error
    jobs = []
    for number, row in enumerate(rows[:first] if first else rows):
        speeds = {m: table[m][row["job_type"]].get(row["slots"], 0.0) for m in MODELS}
        jobs.append(
            Job(
                name=f"e{number}",
                kind=row["job_type"],
                steps=float(row["total_steps"]),
                arrival=float(row["arrival_s"]),
                slots=int(row["slots"]),
                speeds={m: speed for m, speed in speeds.items() if speed > 0},
            )
        )
    return jobs
