"""`python -m benchmarks.gateway.raw_mlflow`: MLflow's API over bare connections.

MLflow's own client makes one request at a time and computes for much of it, so it tells little of
the servers. Here requests are bytes that were made before; several connections send one after
another and read the answers. Prints what came of it as JSON.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

API = "/api/2.0/mlflow"
CONNECTIONS = 4
SINGLES = 100
"""Metrics that each connection logs one by one."""
BATCHES = 10
"""Batches of 1,000 points that each connection logs."""
READS = 10
"""Readings of a metric's history by each connection."""
METRICS = 5
"""Names among which the points of a batch are divided."""
HISTORY = BATCHES * 1000 // METRICS
"""Points that one reading holds."""


@dataclass(frozen=True, slots=True)
class Raw:
    """What a server did in a second."""

    single: float
    """Metrics, one a request."""
    batch: float
    """Points, 1,000 a request."""
    read: float
    """Readings of `HISTORY` points."""


class Line:
    """One connection that stays."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._where = urlsplit(url)

    def another(self) -> "Line":
        """One more to the same server."""
        return Line(self._url, self._token)

    async def open(self) -> "Line":
        """Connect."""
        self._in, self._out = await asyncio.open_connection(self._where.hostname, self._where.port)
        return self

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """A request's bytes."""
        head = [
            f"{method} {self._where.path}{API}{path} HTTP/1.1",
            f"Host: {self._where.netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {self._token}"] if self._token else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + body

    async def ask(self, request: bytes) -> bytes:
        """Send it, and read the answer's body. Raises RuntimeError unless it is a 200."""
        self._out.write(request)
        head = (await self._in.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            body = await self._chunks()
        else:
            _, _, rest = head.partition(b"content-length:")
            body = await self._in.readexactly(int(rest.split(b"\r\n", 1)[0]))
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{head!r} {body[:500]!r}")
        return body

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._in.readline(), 16):
            parts.append(await self._in.readexactly(size))
            await self._in.readline()
        await self._in.readline()
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self._out.close()


async def measure(url: str, token: str = "") -> Raw:
    """Let `CONNECTIONS` connections, each with a run of its own, do the same."""
    now = int(time.time() * 1000)
    async with httpx.AsyncClient(headers=_headers(token), timeout=60) as http:
        made = await _post(http, f"{url}{API}/experiments/create", {"name": f"raw-{now}"})
        runs = []
        for _ in range(CONNECTIONS):
            body = {"experiment_id": made["experiment_id"], "start_time": now}
            run = await _post(http, f"{url}{API}/runs/create", body)
            runs.append(run["run"]["info"]["run_id"])
    line = Line(url, token)
    single = await _rate(line, [[_single(line, r, n, now) for n in range(SINGLES)] for r in runs])
    batch = await _rate(line, [[_batch(line, r, n, now) for n in range(BATCHES)] for r in runs])
    asked = [line.request("GET", f"/metrics/get-history?run_id={r}&metric_key=m0") for r in runs]
    await line.open()
    for one in asked:
        found = json.loads(await line.ask(one))["metrics"]
        if len(found) != HISTORY:
            raise RuntimeError(f"a history has {len(found)} points, not {HISTORY}")
    line.close()
    read = await _rate(line, [[one] * READS for one in asked])
    return Raw(single, 1000 * batch, read)


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


async def _post(http: httpx.AsyncClient, url: str, body: dict[str, object]) -> dict[str, Any]:
    answer = await http.post(url, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def _single(line: Line, run: str, step: int, now: int) -> bytes:
    body = {"run_id": run, "key": "single", "value": 1.0, "timestamp": now, "step": step}
    return line.request("POST", "/runs/log-metric", json.dumps(body).encode())


def _batch(line: Line, run: str, number: int, now: int) -> bytes:
    first = number * 1000 // METRICS
    points = [
        {"key": f"m{n % METRICS}", "value": 1.0, "timestamp": now, "step": first + n // METRICS}
        for n in range(1000)
    ]
    body = {"run_id": run, "metrics": points, "params": [], "tags": []}
    return line.request("POST", "/runs/log-batch", json.dumps(body).encode())


async def _rate(line: Line, requests: Sequence[Sequence[bytes]]) -> float:
    """Requests/s, over as many connections as there are sequences, each sent in its order."""

    async def send(its: Sequence[bytes]) -> None:
        own = await line.another().open()
        for request in its:
            await own.ask(request)
        own.close()

    began = time.perf_counter()
    await asyncio.gather(*map(send, requests))
    return sum(map(len, requests)) / (time.perf_counter() - began)


def run(url: str, token: str = "") -> Raw:
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.gateway.raw_mlflow", url, "--token", token]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return Raw(**json.loads(found.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the server, without the API's own path")
    parser.add_argument("--token", default="")
    options = parser.parse_args()
    print(json.dumps(asdict(asyncio.run(measure(options.url, options.token)))))
