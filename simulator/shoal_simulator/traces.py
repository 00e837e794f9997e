"""Traces of jobs and of what a cloud had, from files, as a cluster file names them."""

import csv
import json
from pathlib import Path
from typing import Any

from shoal_simulator.curves import CurvesError

COLUMNS = {"at": float, "units": int, "slots": int, "seconds_per_unit": float, "name": str}
"""Of a trace of jobs. The first two are needed."""


def resolved(raw: Any, folder: Path) -> Any:
    """A cluster file's content with the traces that it names, in `folder`, in their places. Raises
    CurvesError."""
    if not isinstance(raw, dict):
        return raw
    found = dict(raw)
    if isinstance(jobs := raw.get("experiments"), list):
        found["experiments"] = [one for job in jobs for one in _jobs(job, folder)]
    if isinstance(clouds := raw.get("clouds"), dict):
        found["clouds"] = {name: _cloud(cloud, folder) for name, cloud in clouds.items()}
    return found


def _jobs(job: Any, folder: Path) -> list[Any]:
    """A job, or one for each row of its trace: an experiment of one trial that trains so many units
    on so many slots."""
    if not isinstance(job, dict) or "trace" not in job:
        return [job]
    rest = {name: value for name, value in job.items() if name != "trace"}
    return [_job(rest, row) for row in _rows(folder / str(job["trace"]))]


def _job(job: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    config = dict(job.get("config") or {})
    config["name"] = row.get("name", config.get("name"))
    config["searcher"] = {**(config.get("searcher") or {}), "max_time": row["units"]}
    if "slots" in row:
        config["resources"] = {**(config.get("resources") or {}), "slots_per_trial": row["slots"]}
    speed = {"seconds_per_unit": row["seconds_per_unit"]} if "seconds_per_unit" in row else {}
    return {**job, **speed, "at": job.get("at", 0) + row["at"], "config": config}


def _rows(path: Path) -> list[dict[str, Any]]:
    reader = csv.DictReader(_text(path).splitlines())
    unknown = set(reader.fieldnames or ()) - set(COLUMNS)
    if unknown or not {"at", "units"} <= set(reader.fieldnames or ()):
        raise CurvesError(f"{path}: its columns are to be of {', '.join(COLUMNS)}")
    found = []
    for row in reader:
        one: dict[str, Any] = {}
        for name, value in row.items():
            if value:
                one[name] = _value(path, reader.line_num, name, value)
        found.append(one)
    return found


def _value(path: Path, line: int, name: str, value: str) -> Any:
    try:
        return COLUMNS[name](value)
    except (KeyError, ValueError) as error:
        raise CurvesError(f"{path}, line {line}: {name or 'a field'}: {value!r}") from error


def _cloud(cloud: Any, folder: Path) -> Any:
    """A cloud; `capacity: {trace: FILE, machines: N, begin: SECONDS}` becomes a list of seconds and
    machines."""
    capacity = cloud.get("capacity") if isinstance(cloud, dict) else None
    if not isinstance(capacity, dict):
        return cloud
    unknown = set(capacity) - {"trace", "machines", "begin"}
    if unknown or "trace" not in capacity:
        raise CurvesError("capacity: say `trace: FILE`, and `machines` and `begin` if need be")
    path = folder / str(capacity["trace"])
    try:
        points = _points(path, int(capacity.get("machines", 1)))
        begin = float(capacity.get("begin", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise CurvesError(
            f"{path} is no trace: it has lines of seconds and machines, or is JSON with"
            f' "metadata": {{"gap_seconds": S}} and "data": [0, 1, ...] ({error})'
        ) from error
    return {**cloud, "capacity": _from(points, begin)}


def _points(path: Path, machines: int) -> list[tuple[float, int]]:
    """Seconds and how many machines could be had from then on: lines of both, times `machines`; or
    whether some could, once in so many seconds (as the traces of Can't Be Late, NSDI 2024)."""
    text = _text(path)
    if path.suffix == ".json":
        raw = json.loads(text)
        gap, there = float(raw["metadata"]["gap_seconds"]), raw["data"]
        found = [(gap * n, machines * int(value)) for n, value in enumerate(there)]
    else:
        rows = [row for row in csv.reader(text.splitlines()) if row and not row[0].startswith("#")]
        found = [(float(at), machines * int(count)) for at, count in rows]
    return [p for n, p in enumerate(found) if n == 0 or p[1] != found[n - 1][1]]


def _from(points: list[tuple[float, int]], begin: float) -> list[tuple[float, int]]:
    """A trace that begins so many seconds into it."""
    earlier = [count for at, count in points if at <= begin]
    later = [(at - begin, count) for at, count in points if at > begin]
    return [(0.0, earlier[-1]), *later] if earlier else later


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CurvesError(f"{path} cannot be read: {error}") from error
