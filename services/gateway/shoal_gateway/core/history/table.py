"""Tables of metric points: one row a number, in the columns of `SCHEMA`."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from shoal_gateway.core.changes import finite
from shoal_gateway.core.history.blocks import columns

SCHEMA = pl.Schema(
    {
        "group": pl.String(),
        "name": pl.String(),
        "trial": pl.String(),
        "source": pl.String(),
        "attempt": pl.Int32(),
        "step": pl.Int64(),
        "time": pl.Int64(),
        "at": pl.Float64(),
        "sequence": pl.Int64(),
        "value": pl.Float64(),
    }
)
"""`step`: of training; `time`: the same in the experiment's own units, or null; `at`: Unix seconds;
`source`: of the group `system`, the node; `sequence`: the report's place in its stream."""
SERIES = ("group", "name", "trial", "source")
"""What tells one series of numbers from another."""
BLOCKS = 8
"""Blocks that become a table at once."""
_REPORTS = {
    name: pl.List(kind) if name in ("name", "value") else kind for name, kind in SCHEMA.items()
}


def table(columns: dict[str, list[Any]]) -> pl.DataFrame:
    """The points of reports, whose `name` and `value` are lists of equal length."""
    found = pl.DataFrame(columns, schema=_REPORTS).explode("name", "value")
    return found.drop_nulls("name").select(SCHEMA.names())


def of_blocks(blocks: Sequence[bytes], after: int) -> pl.DataFrame:
    """The points in blocks whose sequences are greater than `after`."""
    # A few blocks at a time, since a thread that builds a table lets no other run meanwhile.
    parts = [blocks[start : start + BLOCKS] for start in range(0, len(blocks), BLOCKS)]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *(table(columns(p, after)) for p in parts)])


def ordered(points: pl.DataFrame) -> pl.DataFrame:
    """As they are kept in files: series by series, by step."""
    # A number for each series: sorting by four texts takes five times as long.
    series = pl.concat_str(SERIES, separator="\n").cast(pl.Categorical).to_physical()
    return points.sort(series, "step", "attempt", "at", "sequence")


def select(
    points: pl.LazyFrame,
    *,
    group: str,
    trials: Sequence[str],
    names: Sequence[str] = (),
    since_step: int | None = None,
) -> pl.LazyFrame:
    """The points of a group and of some trials; of some names, and of greater steps, if given."""
    wanted = (pl.col("group") == group) & pl.col("trial").is_in(list(trials))
    if names:
        wanted &= pl.col("name").is_in(list(names))
    if since_step is not None:
        wanted &= pl.col("step") > since_step
    return points.filter(wanted)


def newest(points: pl.DataFrame, *, keep_superseded: bool = False) -> pl.DataFrame:
    """In order, with a column `superseded`: of a step that was trained again, the newest counts.

    Without `keep_superseded` the others are left out. What was measured of a machine (the group
    `system`) is never superseded: many of its samples share a step.
    """
    same = [pl.col(name) == pl.col(name).shift(-1) for name in (*SERIES, "step")]
    again = pl.all_horizontal(pl.col("group") != "system", *same).fill_null(False)
    marked = ordered(points).with_columns(superseded=again)
    return marked if keep_superseded else marked.filter(~pl.col("superseded"))


def downsample(points: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """About `wanted` points of each series (at least 4): its first and last, and the least and the
    greatest of each bucket; a shorter series stays whole. NaN counts as the greatest.

    Buckets hold equal numbers of points that follow one another. Each point kept is one that was
    reported. (This is the min-max aggregation of https://arxiv.org/abs/2304.00900.)
    """
    place = pl.int_range(pl.len()).over(SERIES)
    buckets = max(1, (wanted - 2) // 2)
    numbered = points.with_columns(
        _place=place,
        _length=pl.len().over(SERIES),
        _shown=pl.col("value").fill_nan(float("inf")),
    ).with_columns(_bucket=pl.col("_place") * buckets // pl.col("_length"))
    within = (*SERIES, "_bucket")
    order = pl.int_range(pl.len()).over(within)
    least = order == pl.col("_shown").arg_min().over(within)
    greatest = order == pl.col("_shown").arg_max().over(within)
    ends = (pl.col("_place") == 0) | (pl.col("_place") == pl.col("_length") - 1)
    whole = pl.col("_length") <= wanted
    return numbered.filter(whole | ends | least | greatest).select(points.columns)


def exported(points: pl.DataFrame, *, marked: bool) -> pl.DataFrame:
    """Points in the columns in which people get them; `marked`: with what is superseded."""
    marks = ["superseded"] if marked else []
    names = ["trial", "group", "name", "source", "attempt", "step", "time", "at", "value", *marks]
    return points.select(names).rename({"trial": "trial_id"})


def reports(
    points: pl.DataFrame, trials: Sequence[str], *, marked: bool = False
) -> list[dict[str, Any]]:
    """Points as reports, trial by trial in the order given, by step: the numbers that one report
    brought, and that are among the points, together. `marked`: with what is superseded."""
    if points.is_empty():
        return []
    place = {trial: number for number, trial in enumerate(trials)}
    marks = ["superseded"] if marked else []
    key = ["trial", "step", "attempt", "at", "sequence", "time", "group", "source", *marks]
    grouped = (
        points.with_columns(_place=pl.col("trial").replace_strict(place, return_dtype=pl.Int64))
        .group_by("_place", *key)
        .agg("name", "value")
        .sort("_place", "step", "attempt", "at", "sequence")
    )
    return [_report(row, marked) for row in grouped.iter_rows(named=True)]


def _report(row: dict[str, Any], marked: bool) -> dict[str, Any]:
    found = {
        "trial_id": row["trial"],
        "attempt": row["attempt"],
        "step": row["step"],
        "time": row["time"],
        "at": row["at"],
        "group": row["group"],
        "source": row["source"],
        "metrics": finite(dict(zip(row["name"], row["value"], strict=True))),
    }
    return found | {"superseded": row["superseded"]} if marked else found
