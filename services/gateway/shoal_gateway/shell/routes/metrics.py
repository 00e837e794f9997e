"""`/v1/experiments/{id}/metrics`: what trials reported, as much of it as one wants to draw."""

import asyncio
import os
import tempfile
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import polars as pl
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from shoal_gateway.core.history.table import exported, reports
from shoal_gateway.shell import history_reader
from shoal_gateway.shell.answers.trials import Reports
from shoal_gateway.shell.history_reader import TooManyPointsError
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, away, unknown
from shoal_gateway.shell.routes.trials import ids_of

router = APIRouter(prefix="/v1/experiments/{experiment_id}")

DRAWN = 500
"""Points of a series in an answer in JSON, unless one asks for another number."""
_MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@router.get(
    "/metrics",
    response_model=dict[str, Any],
    responses={200: {"model": Reports, "content": {media: {} for media in _MEDIA.values()}}},
)
async def metrics(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    group: Literal["validation", "training", "system"] = "validation",
    trial: str | None = None,
    trials: str | None = None,
    name: Annotated[list[str] | None, Query()] = None,
    points: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
    since_step: int | None = None,
    superseded: bool = False,
    format: Literal["json", "csv", "parquet"] = "json",
) -> Response:
    """Reports, trial by trial and step by step; `trials` takes several ids with commas between.

    About `points` of each series come (500; of exports, and with 0, all): the first, the last, and
    the least and greatest of each stretch. Of a step that was trained again the newest report
    counts; with `superseded` the others come too, marked. `system` is what was measured of the
    machines. CSV and Parquet have a row for each number.
    """
    query = history_reader.Query(
        experiment_id=experiment_id,
        group=group,
        trials=await _trials(use, experiment_id, trial, trials),
        names=tuple(name or ()),
        since_step=since_step,
        points=(DRAWN if format == "json" else 0) if points is None else points,
        superseded=superseded,
    )
    found = await read(use, query)
    if format == "json":
        text = await asyncio.to_thread(_json, found, query)
        return Response(text, media_type="application/json")
    path = await asyncio.to_thread(_file, found, format, superseded)
    return FileResponse(
        path,
        media_type=_MEDIA[format],
        filename=f"{experiment_id}-{group}.{format}",
        background=BackgroundTask(partial(os.unlink, path)),
    )


async def _trials(
    use: Parts, experiment_id: str, trial: str | None, trials: str | None
) -> list[str]:
    listed = None if trials is None else [t for t in trials.split(",") if t]
    if listed is None:
        return await ids_of(use, experiment_id, trial)
    known = set(await ids_of(use, experiment_id, None))
    for wanted in listed:
        if wanted not in known:
            raise unknown("trial", wanted)
    return list(dict.fromkeys(listed + ([trial] if trial in known else [])))


def _json(found: pl.DataFrame, query: history_reader.Query) -> bytes:
    items = reports(found, query.trials, marked=query.superseded)
    return msgspec.json.encode({"items": items})


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


async def read(use: Parts, query: history_reader.Query) -> pl.DataFrame:
    """What a query finds. Raises ProblemError: 422 for too many points, 503 without storage."""
    try:
        return await use.history.read(query)
    except TooManyPointsError as error:
        raise ProblemError(422, str(error), kind="urn:shoal:problem:request") from error
    except OSError as error:
        detail = f"The storage with the metrics does not answer: {error}"
        raise away(detail) from error
