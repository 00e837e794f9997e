"""MLflow's tracking server on this machine, and its own client: logging and reading metrics.

Needs `mlflow` in the environment whose Python is given; it is no dependency of ours.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

SINGLES = 200
"""Metrics that are logged one by one."""
BATCHES = 20
"""Batches of 1,000 points, as many as MLflow takes at once."""
READS = 10
"""Readings of a metric's history."""
_CLIENT = """
import json, sys, time
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
url, singles, batches, reads = sys.argv[1], *map(int, sys.argv[2:])
client = MlflowClient(tracking_uri=url)
run = client.create_run(client.create_experiment("bench")).info.run_id
now = int(time.time() * 1000)
client.log_metric(run, "warm", 1.0, now, 0)
began = time.perf_counter()
for step in range(singles):
    client.log_metric(run, "single", 1.0, now, step)
single = time.perf_counter() - began
began, own = time.perf_counter(), time.process_time()
for batch in range(batches):
    points = [Metric(f"m{n % 10}", 1.0, now, batch * 100 + n // 10) for n in range(1000)]
    client.log_batch(run, points)
batch = time.perf_counter() - began
busy = (time.process_time() - own) / batch
began = time.perf_counter()
for _ in range(reads):
    found = client.get_metric_history(run, "m0")
read = (time.perf_counter() - began) / reads
assert len(found) == batches * 100, len(found)
rates = {"single": singles / single, "batch": 1000 * batches / batch, "read": read, "busy": busy}
print(json.dumps(rates))
"""


@dataclass(frozen=True, slots=True)
class Tracking:
    """What a client saw of a tracking server."""

    single: float
    """Metrics/s, one request each."""
    batch: float
    """Points/s, 1,000 a request."""
    read: float
    """Seconds to read a history of `BATCHES` x 100 points."""
    busy: float
    """The part of the time of batches in which the client itself computed."""


@contextlib.contextmanager
def server(python: str, folder: Path) -> Iterator[str]:
    """MLflow's server with SQLite, as its documentation begins; yields its URL."""
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--default-artifact-root", str(folder / "artifacts"), "--workers", "1",
    ]  # fmt: skip
    with (folder / "mlflow.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            time.sleep(0.2)
        yield url
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)


def measure(python: str, url: str, token: str = "") -> Tracking:
    """Let MLflow's client log and read at a URL."""
    numbers = [str(n) for n in (SINGLES, BATCHES, READS)]
    found = subprocess.run(
        [python, "-c", _CLIENT, url, *numbers],
        env={**os.environ, "MLFLOW_TRACKING_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return Tracking(**json.loads(found.stdout.splitlines()[-1]))
