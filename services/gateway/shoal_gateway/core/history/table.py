"""Tables of metric points: one row a number, in the columns of `SCHEMA`."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import polars as pl

from shoal_gateway.core.changes import finite
from shoal_gateway.core.history.blocks import Columns, Kind, by_kind

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
_REPORT = ["trial", "attempt", "step", "time", "at", "sequence"]
SERIES = ("group", "name", "trial", "source")
"""What tells one series of numbers from another."""
AT_ONCE = 2**21
"""Bytes of blocks that become a table at once."""


def of_blocks(
    blocks: Sequence[bytes],
    after: int,
    *,
    group: str | None = None,
    trials: Collection[str] | None = None,
    names: Collection[str] = (),
) -> pl.DataFrame:
    """The points in blocks whose sequences are greater than `after`; of a group, of some trials and
    of some names, if given."""

    def wanted(kind: Kind) -> bool:
        return (group is None or kind[0] == group) and not (
            names and set(names).isdisjoint(kind[2])
        )

    # Not all at once, since a thread that builds a table lets no other run meanwhile.
    parts = [pl.DataFrame(schema=SCHEMA)]
    for some in _pieces(blocks):
        found = by_kind(some, after, wanted, trials)
        parts += [_table(kind, columns, names) for kind, columns in found.items()]
    return pl.concat(parts)


def _pieces(blocks: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Blocks, so many at a time that they have `AT_ONCE` bytes."""
    piece: list[bytes] = []
    size = 0
    for block in blocks:
        piece.append(block)
        size += len(block)
        if size >= AT_ONCE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _table(kind: Kind, columns: Columns, names: Collection[str]) -> pl.DataFrame:
    """The points of reports of one kind; of some names, if given."""
    group, source, its = kind
    # By their places, since a number may be called as a column is.
    called = {str(n): name for n, name in enumerate(its) if not names or name in names}
    found = pl.DataFrame(
        {name: getattr(columns, name) for name in _REPORT}
        | dict(zip(called, _columns(columns.values, [*map(int, called)]), strict=True)),
        schema={name: SCHEMA[name] for name in _REPORT} | dict.fromkeys(called, pl.Float64()),
    )
    points = found.unpivot(list(called), index=_REPORT, variable_name="name", value_name="value")
    return points.select(
        group=pl.lit(group, pl.String),
        name=pl.col("name").replace_strict(called, return_dtype=pl.String),
        trial="trial",
        source=pl.lit(source, pl.String),
        attempt="attempt",
        step="step",
        time="time",
        at="at",
        sequence="sequence",
        value="value",
    )


def _columns(rows: list[list[float]], places: list[int]) -> list[Sequence[float]]:
    """Some columns of rows."""
    if len(places) == len(rows[0]):
        return list(zip(*rows, strict=True))
    return [[row[place] for row in rows] for place in places]


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


def last(points: pl.LazyFrame) -> pl.LazyFrame:
    """The last point of each series, of points that are in order."""
    return points.group_by(SERIES).agg(pl.all().last()).select(SCHEMA.names())


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
    nan = pl.col("value").is_nan()
    top = (
        pl.when(nan.any()).then(nan.cast(pl.UInt8).arg_max()).otherwise(pl.col("_shown").arg_max())
    )
    greatest = order == top.over(within)
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
