"""`python -m benchmarks.gateway`: taking metrics in, lists, subscribers, beside MLflow."""

import argparse
import asyncio
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gateway import ingest, listing, peer_mlflow, raw_mlflow, subscribers
from benchmarks.gateway.stand import quantile, stand
from benchmarks.recorded import RESULTS, record

RESULT = RESULTS / "gateway.md"
PEER = Path(".venv-bench/bin/python")
Row = tuple[str, str, str]


def main() -> None:
    """Print the table, and write it to benchmarks/results/gateway.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=70_000, help="metric points/s to publish")
    parser.add_argument("--seconds", type=float, default=20, help="for so long")
    parser.add_argument("--experiments", type=int, default=10_000, help="in the list")
    parser.add_argument("--trials", type=int, default=100, help="of each of them")
    parser.add_argument("--subscribers", type=int, default=500)
    parser.add_argument("--mlflow", type=Path, default=PEER, help="a Python that has mlflow")
    options = parser.parse_args()
    lines = [
        "# The gateway",
        "",
        "One gateway, one nats-server, one Redis and the load on one machine. Lag: from a report's"
        " publication until an answer over HTTP holds it, by a client that asks every"
        f" {ingest.POLL * 1000:.0f} ms. Points are put into files every 5 s meanwhile.",
        "",
        "MLflow's client sends one request at a time, and computes for much of the time itself, so"
        " its rows are what a script sees. Bare requests, made before and sent over several"
        " connections, compare the servers.",
        "",
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f} at the beginning",
        "",
        "| what | measured | goal |",
        "| --- | --- | --- |",
    ]
    print("\n".join(lines[-2:]))
    folder = Path(tempfile.mkdtemp(prefix="shoal-bench-"))
    try:
        for row in _measure(options, folder):
            lines.append(f"| {' | '.join(row)} |")
            print(lines[-1], flush=True)
            record(RESULT, "\n".join(lines))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end\n{RESULT}")


def _measure(options: argparse.Namespace, folder: Path) -> Iterator[Row]:
    with stand(folder / "ingest", SHOAL_METRICS_SECONDS="5") as one:
        for rate in (options.rate, 2 * options.rate):
            took = asyncio.run(ingest.measure(one, rate=rate, seconds=options.seconds))
            what = f"1,000 trials report {rate:.0f} points/s together"
            yield f"{what}: queryable", f"{took.rate:.0f} points/s", "70,000"
            yield f"{what}: lag p50, p99", _ms(took.lags), "p99 < 1 s"
            cores = ", ".join(f"{name} {part:.2f}" for name, part in took.busy.items())
            yield f"{what}: cores used", cores, ""
    with stand(folder / "tell") as one:
        told = asyncio.run(subscribers.measure(one, count=options.subscribers, events=20))
        what = f"{told.count} subscribers of events"
        yield f"{what}: all connected after", f"{told.connecting:.2f} s", ""
        yield f"{what}: lag p50, p99", _ms(told.lags), ""
        yield f"{what}: events that did not arrive", str(told.missing), "0"
    with stand(folder / "list", synced=False) as one:
        size = {"experiments": options.experiments, "trials": options.trials}
        seen = asyncio.run(listing.measure(one, **size))
        what = f"{options.experiments} experiments x {options.trials} trials"
        yield f"{what}: filling", f"{seen.events / seen.filling:.0f} events/s", ""
        for kind, seconds in seen.seconds.items():
            goal = "p99 < 50 ms" if "page" in kind else ""
            yield f"{what}: {kind}, p50, p99", _ms(seconds), goal
    if options.mlflow.exists():
        yield from _beside(str(options.mlflow), folder, took.rate)
    else:
        yield "MLflow", f"not measured: there is no {options.mlflow}", ""


def _beside(python: str, folder: Path, rate: float) -> Iterator[Row]:
    """The same at MLflow's server and at the gateway: through MLflow's own client, and as bare
    requests over several connections, which compare the servers."""
    with peer_mlflow.server(python, folder / "mlflow") as url:
        theirs, their_raw = peer_mlflow.measure(python, url), raw_mlflow.run(url)
    with stand(folder / "tracking") as one:
        url = f"{one.url}/mlflow"
        ours, our_raw = peer_mlflow.measure(python, url, one.token), raw_mlflow.run(url, one.token)
    for name, mine, other, unit in (
        ("one metric a request", ours.single, theirs.single, "metrics/s"),
        ("1,000 points a request", ours.batch, theirs.batch, "points/s"),
        ("2,000 points read", 1 / ours.read, 1 / theirs.read, "readings/s"),
    ):
        yield f"MLflow's client, {name}", _times(mine, other, unit), ""
    text = f"at Shoal {ours.busy:.0%}, at MLflow {theirs.busy:.0%}"
    yield "MLflow's client, part of the time of batches in which it computes itself", text, ""
    for name, mine, other, unit, goal in (
        ("one metric a request", our_raw.single, their_raw.single, "metrics/s", ""),
        ("1,000 points a request", our_raw.batch, their_raw.batch, "points/s", "20 times"),
        ("2,000 points read", our_raw.read, their_raw.read, "readings/s", ""),
    ):
        what = f"bare requests, {raw_mlflow.CONNECTIONS} connections, {name}"
        yield what, _times(mine, other, unit), goal
    text = f"{rate / theirs.batch:.1f} times MLflow's in batches through its client"
    yield "Shoal's reports, as above", text, "20 times"


def _times(mine: float, other: float, unit: str) -> str:
    return f"Shoal {mine:.0f} {unit}, MLflow {other:.0f}: {mine / other:.1f} times"


def _ms(seconds: list[float]) -> str:
    return f"{quantile(seconds, 0.5) * 1e3:.1f} ms, {quantile(seconds, 0.99) * 1e3:.1f} ms"


if __name__ == "__main__":
    main()
