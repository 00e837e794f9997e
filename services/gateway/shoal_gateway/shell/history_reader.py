"""One answer over all metric points of an experiment: those in files and those still in Redis."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from shoal_contract.subjects import TRACKED, TRAINING, VALIDATION, Stream
from shoal_gateway.core.history.files import File, cover, end
from shoal_gateway.core.history.table import (
    SCHEMA,
    downsample,
    last,
    newest,
    of_blocks,
    ordered,
    select,
)
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.recent import Recent

STREAMS: Mapping[str, tuple[Stream, ...]] = {
    "validation": (VALIDATION, TRAINING),
    "training": (TRAINING,),
    "system": (TRAINING,),
    "tracked": (TRACKED,),
}
"""Where the points of a group come from. `tracked`: through MLflow's API, by run."""
TRIES = 5
"""Readings that may find a file gone, since it was merged meanwhile."""
LARGEST = 20_000_000
"""Points that one query may look at."""
PAUSE = 0.2
"""Seconds until files are looked for again that are not where they are to be."""
AT_ONCE = 2
"""Queries that run side by side; others wait."""


class TooManyPointsError(ValueError):
    """A query is about more points than `LARGEST`; the text says what to do."""

    def __init__(self) -> None:
        super().__init__(
            f"More than {LARGEST} points match. Ask for fewer trials, for some names, or for what"
            " is newer than a step."
        )


@dataclass(frozen=True, slots=True)
class Query:
    """Which points are wanted. `names` empty: all; `points` 0: all, else about so many a series."""

    experiment_id: str
    group: str
    trials: Sequence[str]
    names: Sequence[str] = ()
    since_step: int | None = None
    points: int = 0
    superseded: bool = False
    last: bool = False
    """Only the last point of each series."""


class HistoryReader:
    """Reads points; the work is done in threads."""

    def __init__(self, recent: Recent, files: Files) -> None:
        self._recent, self._files = recent, files
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(self, query: Query) -> pl.DataFrame:
        """The points, series by series, by step, in the columns of `SCHEMA` and `superseded`.

        Raises TooManyPointsError.
        """
        async with self._turns:
            found = [await self._points(stream, query) for stream in STREAMS[query.group]]
            return await asyncio.to_thread(_answer, found, query)

    async def _points(self, stream: Stream, query: Query) -> pl.DataFrame:
        for left in reversed(range(TRIES)):
            # Redis first: what leaves it from now on is in the files that are listed then.
            blocks, filed, _ = await self._recent.read(stream, query.experiment_id)
            try:
                files = await asyncio.to_thread(self._files.of, stream, query.experiment_id, filed)
                if end(files) < filed and left:
                    # The gateway goes over to other files just now; or they were lost.
                    await asyncio.sleep(PAUSE)
                    continue
                return await asyncio.to_thread(self._gather, stream, query, blocks, files)
            except FileNotFoundError:
                self._files.forget(stream, query.experiment_id)
        raise TimeoutError("the files of an experiment change faster than they are read")

    def _gather(
        self, stream: Stream, query: Query, blocks: list[bytes], files: list[File]
    ) -> pl.DataFrame:
        new = of_blocks(
            blocks, end(files), group=query.group, trials=set(query.trials), names=query.names
        )
        with self._files.here(stream, query.experiment_id) as path:
            parts = [_scan(path(file), file, after) for file, after in cover(files)]
            parts.append((ordered(new) if query.last else new).lazy())
            wanted = [_wanted(part, query) for part in parts]
            found = pl.concat(wanted).head(LARGEST + 1).collect(engine="streaming")
        if len(found) > LARGEST:
            raise TooManyPointsError
        return found


def _scan(path: str, file: File, after: int) -> pl.LazyFrame:
    points = pl.scan_parquet(path, schema=SCHEMA)
    return points if after == file.first else points.filter(pl.col("sequence") > after)


def _wanted(points: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    found = select(
        points,
        group=query.group,
        trials=query.trials,
        names=query.names,
        since_step=query.since_step,
    )
    return last(found) if query.last else found


def _answer(found: list[pl.DataFrame], query: Query) -> pl.DataFrame:
    points = newest(pl.concat(found), keep_superseded=query.superseded)
    return downsample(points, query.points) if query.points else points
