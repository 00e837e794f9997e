"""`/v1/experiments/{id}/metrics`, `/v1/metrics`: what trials reported, as much of it as one wants
to draw."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import polars as pl
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from shoal_gateway.core import keys
from shoal_gateway.core.history.table import exported, reports
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell import history_reader
from shoal_gateway.shell.answers.base import refusals
from shoal_gateway.shell.answers.trials import Reports
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.history_reader import LARGEST, TooManyPointsError
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, away, unknown
from shoal_gateway.shell.routes.trials import ids_of

router = APIRouter(prefix="/v1")

DRAWN = 500
"""Points of a series in an answer in JSON, unless one asks for another number."""
MOST_TRIALS = 1000
"""Trials that one request may name."""
_MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Reports, "content": {media: {} for media in _MEDIA.values()}}
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reports of some trials are wanted, and in which form."""

    group: Literal["validation", "training", "system"] = "validation"
    name: Annotated[list[str] | None, Query()] = None
    points: Annotated[int | None, Query(ge=0, le=1_000_000)] = None
    since_step: int | None = None
    superseded: bool = False
    format: Literal["json", "csv", "parquet"] = "json"

    def query(self, experiment_id: str, trials: Sequence[str]) -> history_reader.Query:
        """The question about some trials of an experiment."""
        return history_reader.Query(
            experiment_id=experiment_id,
            group=self.group,
            trials=trials,
            names=tuple(self.name or ()),
            since_step=self.since_step,
            points=(DRAWN if self.format == "json" else 0) if self.points is None else self.points,
            superseded=self.superseded,
        )


@router.get(
    "/experiments/{experiment_id}/metrics", response_model=dict[str, Any], responses=_ANSWERS
)
async def metrics(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    wanted: Annotated[Wanted, Depends()],
    trial: str | None = None,
    trials: str | None = None,
) -> Response:
    """Reports, trial by trial and step by step; `trials` takes several ids with commas between.

    About `points` of each series come (500; of exports, and with 0, all): the first, the last, and
    the least and greatest of each stretch. Of a step that was trained again the newest report
    counts; with `superseded` the others come too, marked. `system` is what was measured of the
    machines. CSV and Parquet have a row for each number.
    """
    chosen = await _trials(use, experiment_id, trial, trials)
    found = await read(use, wanted.query(experiment_id, chosen))
    return await _answer(found, chosen, wanted, experiment_id)


@router.get("/metrics", response_model=dict[str, Any], responses=_ANSWERS | refusals(404))
async def compared(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    wanted: Annotated[Wanted, Depends()],
    trials: Annotated[str, Query(min_length=1, max_length=50_000)],
) -> Response:
    """The same of trials of any experiments: `trials` are ids with commas between, and reports come
    in their order."""
    chosen = _listed(trials)
    if not 1 <= len(chosen) <= MOST_TRIALS:
        detail = f"Name 1 to {MOST_TRIALS} trials, and not {len(chosen)}."
        raise ProblemError(422, detail, kind="urn:shoal:problem:request")
    by_experiment = await _by_experiment(use, who, chosen)
    found = await read(use, *(wanted.query(e, its) for e, its in by_experiment.items()))
    return await _answer(found, chosen, wanted, "trials")


async def _by_experiment(use: Parts, who: Caller, trials: Sequence[str]) -> dict[str, list[str]]:
    """Some trials by their experiments; a problem if there is none of them, as far as the caller
    may know."""
    found: dict[str, list[str]] = {}
    rows = await use.store.columns([keys.trial(t) for t in trials], ["experiment_id"])
    for trial, row in zip(trials, rows, strict=True):
        experiment_id = row.get("experiment_id")
        if experiment_id is None or not await use.directory.sees(who, experiment_id):
            raise unknown("trial", trial)
        found.setdefault(experiment_id, []).append(trial)
    return found


def _listed(trials: str) -> list[str]:
    return list(dict.fromkeys(t for t in trials.split(",") if t))


async def _trials(
    use: Parts, experiment_id: str, trial: str | None, trials: str | None
) -> list[str]:
    if trials is None:
        return await ids_of(use, experiment_id, trial)
    listed = _listed(trials)
    known = set(await ids_of(use, experiment_id, None))
    for wanted in listed:
        if wanted not in known:
            raise unknown("trial", wanted)
    return list(dict.fromkeys(listed + ([trial] if trial in known else [])))


async def _answer(
    found: pl.DataFrame, trials: Sequence[str], wanted: Wanted, called: str
) -> Response:
    if wanted.format == "json":
        text = await asyncio.to_thread(_json, found, trials, wanted.superseded)
        return Response(text, media_type="application/json")
    path = await asyncio.to_thread(_file, found, wanted.format, wanted.superseded)
    return FileResponse(
        path,
        media_type=_MEDIA[wanted.format],
        filename=f"{called}-{wanted.group}.{wanted.format}",
        background=BackgroundTask(partial(os.unlink, path)),
    )


def _json(found: pl.DataFrame, trials: Sequence[str], superseded: bool) -> bytes:
    return msgspec.json.encode({"items": reports(found, trials, marked=superseded)})


def _file(found: pl.DataFrame, format: str, superseded: bool) -> str:
    """Write an export, and return its path; whoever sends it removes it."""
    table = exported(found, marked=superseded)
    number, path = tempfile.mkstemp(suffix=f".{format}", prefix="shoal-export-")
    with os.fdopen(number, "wb") as file:
        if format == "csv":
            table.write_csv(file)
        else:
            table.write_parquet(file)
    return path


async def read(use: Parts, *queries: history_reader.Query) -> pl.DataFrame:
    """What some queries find, one after the other. Raises ProblemError: 422 for too many points,
    503 without storage."""
    try:
        tables: list[pl.DataFrame] = []
        for query in queries:
            tables.append(await use.history.read(query))
            if sum(map(len, tables)) > LARGEST:
                raise TooManyPointsError
        return pl.concat(tables)
    except TooManyPointsError as error:
        raise ProblemError(422, str(error), kind="urn:shoal:problem:request") from error
    except OSError as error:
        detail = f"The storage with the metrics does not answer: {error}"
        raise away(detail) from error
