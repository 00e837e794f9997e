"""Record learning curves with Shoal itself: `python record.py` while a platform runs.

Submits `experiment.yaml` (a grid, every configuration in full), waits for its end, and writes
`digits-cnn.json.gz`: for each configuration its hyperparameters and, for each epoch, accuracy,
loss and seconds. `shoal search simulate --curves` and `make bench-search` read it.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import yaml

from shoal.client import TERMINAL, Client

HERE = Path(__file__).parent
METRICS = {"accuracy": 5, "loss": 5, "seconds": 5}
"""What is kept of each epoch, and its decimals."""


def main(experiment_id: str | None = None) -> None:
    client = Client(timeout=300)
    config = yaml.safe_load((HERE / "experiment.yaml").read_text())
    if experiment_id is None:
        experiment_id = str(client.run(config, HERE)["experiment_id"])
        print(f"experiment {experiment_id}")
    while (row := client.experiment(experiment_id))["state"] not in TERMINAL:
        print(f"{row['trials']} trials", end="\r", flush=True)
        time.sleep(5)
    table = {
        "description": "A small CNN on 449 of scikit-learn's digits, validated on 899; one step is"
        " one epoch. Recorded with Shoal on one CPU thread a trial.",
        "space": config["hyperparameters"],
        "max_time": config["searcher"]["max_time"],
        "configurations": configurations(client, experiment_id),
    }
    target = HERE / "digits-cnn.json.gz"
    with gzip.GzipFile(target, "wb", mtime=0) as file:
        file.write(json.dumps(table, separators=(",", ":")).encode())
    print(f"{len(table['configurations'])} curves in {target}")


def configurations(client: Client, experiment_id: str) -> list[dict[str, object]]:
    """One row for each trial, with every epoch."""
    rows = []
    for trial in client.trials(experiment_id):
        reports = client.metrics(experiment_id, trial=trial["trial_id"])
        reports.sort(key=lambda report: report["step"])
        row = {"hyperparameters": trial["hyperparameters"]}
        for name, decimals in METRICS.items():
            row[name] = [round(report["metrics"][name], decimals) for report in reports]
        rows.append(row)
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:])
