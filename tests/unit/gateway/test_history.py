"""Metric points as blocks, files and tables."""

import json
import math
from collections.abc import Callable
from typing import Any

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from shoal_gateway.core.history import blocks, table
from shoal_gateway.core.history.files import MERGED, File, cover, end, parse, spare, to_merge


def report(**changes: Any) -> blocks.Report:
    body = {
        "experiment_id": "e", "trial_id": "e-0", "attempt": 1, "step": 0,
        "metrics": {"loss": 1.0}, "at": 1.0,
    }  # fmt: skip
    found = blocks.decode_reports(json.dumps(body | changes).encode())
    assert found is not None
    return found[-1]


def points(*reports: blocks.Report, group: str = "training") -> pl.DataFrame:
    builder = blocks.Builder(group)
    for number, one in enumerate(reports, 1):
        builder.add(number, one)
    return table.of_blocks([block for _, block in builder.blocks()], 0)


def test_a_report_comes_back_from_its_block() -> None:
    builder = blocks.Builder("training")
    builder.add(7, report(metrics={"loss": 1.0, "lr": float(2)}))
    builder.add(8, report(experiment_id="f"))
    builder.add(9, report(step=3, group="system", source="n1", time=4))
    made = dict(builder.blocks())
    assert set(made) == {"e", "f"}
    assert int.from_bytes(made["e"][: blocks.HEAD], "big") == 9
    found = table.of_blocks([made["e"]], 0)
    rows = found.select("sequence", "group", "source", "name", "value", "time").rows()
    assert rows == [
        (7, "training", "", "loss", 1.0, None),
        (7, "training", "", "lr", 2.0, None),
        (9, "system", "n1", "loss", 1.0, 4),
    ]
    assert table.of_blocks([made["e"]], 7)["sequence"].to_list() == [9]
    assert table.of_blocks([made["e"]], 9).is_empty()


def test_runs_may_have_blocks_of_their_own_which_can_be_dropped_in_order() -> None:
    builder = blocks.Builder("tracked", apart=True)
    for sequence, run in enumerate(["a", "b", "a", "c", "b", "a"], 1):
        builder.add(sequence, report(trial_id=run, step=sequence))
    builder.add(7, report(experiment_id="f", trial_id="x"))
    made = list(builder.blocks())
    assert [name for name, _ in made] == ["e", "e", "e", "f"]
    heads = [int.from_bytes(block[: blocks.HEAD], "big") for _, block in made]
    assert heads == [4, 5, 6, 7]
    its = [block for name, block in made if name == "e"]
    assert sorted(table.of_blocks(its, 2)["step"]) == [3, 4, 5, 6]
    assert table.of_blocks(its, 0, trials={"b"})["step"].to_list() == [2, 5]


def test_of_blocks_are_read_what_is_asked_for() -> None:
    names = {"loss": 1.0, "trial": 2.0, "step": 3.0}
    builder = blocks.Builder("training")
    for sequence in range(1, 7):
        its = names if sequence % 2 else {"loss": float(sequence)}
        builder.add(sequence, report(trial_id=f"e-{sequence % 3}", metrics=its))
    builder.add(7, report(group="system", source="n", metrics=names))
    builder.add(8, report(metrics={}))
    made = [block for _, block in builder.blocks()]

    def rows(after: int = 0, **wanted: Any) -> list[Any]:
        found = table.of_blocks(made, after, **wanted)
        return sorted(found.select("sequence", "group", "trial", "name", "value").rows())

    every = rows()
    assert len(every) == 3 * 3 + 3 + 3
    questions: list[tuple[dict[str, Any], Callable[[Any], bool]]] = [
        ({"group": "system"}, lambda r: r[1] == "system"),
        ({"trials": {"e-1"}}, lambda r: r[2] == "e-1"),
        ({"names": ["trial", "step"]}, lambda r: r[3] in ("trial", "step")),
        ({"after": 3, "names": ["loss"]}, lambda r: r[0] > 3 and r[3] == "loss"),
        ({"trials": {"none"}}, lambda r: False),
    ]
    for wanted, holds in questions:
        assert rows(**wanted) == [row for row in every if holds(row)], wanted
    assert (7, "system", "e-0", "trial", 2.0) in every


def test_reports_that_are_told_together_become_points_of_their_own() -> None:
    body = {
        "experiment_id": "e", "trial_id": "e-0", "attempt": 2, "step": 3, "metrics": {"loss": 3.0},
        "at": 3.0, "group": "validation", "sequence": 3,
        "earlier": [
            {"step": 1, "metrics": {"loss": 1.0}, "at": 1.0, "sequence": 1},
            {"step": 2, "metrics": {"loss": 2.0, "lr": 0.5}, "at": 2.0, "sequence": 2},
        ],
    }  # fmt: skip
    reports = blocks.decode_reports(json.dumps(body).encode())
    assert reports == blocks.reports_of(body)
    assert reports is not None
    builder = blocks.Builder("training")
    for one in reports:
        builder.add(7, one)
    found = table.ordered(table.of_blocks([block for _, block in builder.blocks()], 0))
    rows = found.select("group", "attempt", "name", "step", "at", "sequence", "value").rows()
    assert rows == [
        ("validation", 2, "loss", 1, 1.0, 7, 1.0),
        ("validation", 2, "loss", 2, 2.0, 7, 2.0),
        ("validation", 2, "loss", 3, 3.0, 7, 3.0),
        ("validation", 2, "lr", 2, 2.0, 7, 0.5),
    ]


def test_what_is_not_plain_is_left_to_others() -> None:
    assert blocks.decode_reports(b'{"metrics": {"loss": NaN}}') is None
    assert blocks.decode_reports(b"{") is None
    body = {"experiment_id": "../e", "trial_id": "t", "attempt": 1, "step": 0, "metrics": {}}
    assert blocks.decode_reports(json.dumps(body | {"at": 1.0}).encode()) is None


def test_of_a_step_that_was_trained_again_the_newest_counts() -> None:
    found = points(
        report(step=1, metrics={"loss": 1.0}),
        report(step=2, metrics={"loss": 2.0, "acc": 0.1}),
        report(step=2, attempt=2, metrics={"loss": 3.0}),
    )
    newest = table.newest(found)
    assert table.reports(newest, ["e-0"]) == [
        _row(step=1, metrics={"loss": 1.0}),
        _row(step=2, metrics={"acc": 0.1}),
        _row(step=2, attempt=2, metrics={"loss": 3.0}),
    ]
    marked = table.newest(found, keep_superseded=True)
    assert marked.filter("superseded")["value"].to_list() == [2.0]
    assert {r["superseded"] for r in table.reports(marked, ["e-0"], marked=True)} == {True, False}


def test_samples_of_a_machine_at_one_step_all_count() -> None:
    found = points(*(report(group="system", source="n", at=float(n)) for n in range(3)))
    assert len(table.newest(found)) == 3


@example([0.0, 0.0, math.inf, math.nan, 0.0], 4)
@given(
    st.lists(st.floats(width=32) | st.just(math.nan), min_size=1, max_size=300),
    st.integers(4, 60),
)
def test_drawing_keeps_ends_and_extremes(values: list[float], wanted: int) -> None:
    whole = pl.DataFrame(
        {"group": "g", "name": "n", "trial": "t", "source": "", "attempt": 1, "time": None,
         "at": 0.0, "step": range(len(values)), "sequence": range(len(values)), "value": values},
        schema=table.SCHEMA,
    )  # fmt: skip
    drawn = table.downsample(whole, wanted)
    assert len(drawn) <= wanted
    assert len(drawn) == len(values) or len(values) > wanted
    steps = drawn["step"].to_list()
    assert {0, len(values) - 1} <= set(steps)
    assert steps == sorted(steps)
    kept = [values[s] for s in steps]
    assert any(map(math.isnan, kept)) == any(map(math.isnan, values))
    numbers = [v for v in values if not math.isnan(v)]
    if numbers:
        assert min(numbers) in kept


def test_a_query_is_about_a_group_trials_names_and_later_steps() -> None:
    found = points(
        report(step=1, metrics={"a": 1.0, "b": 2.0}),
        report(step=2, metrics={"a": 3.0, "b": 4.0}),
        report(step=2, trial_id="e-1", metrics={"a": 5.0}),
        report(step=2, group="system", metrics={"a": 6.0}),
    )

    def values(**wanted: Any) -> list[float]:
        chosen = {"group": "training", "trials": ["e-0"]} | wanted
        return sorted(table.select(found.lazy(), **chosen).collect()["value"].to_list())

    assert values() == [1.0, 2.0, 3.0, 4.0]
    assert values(names=["a"], since_step=1) == [3.0]
    assert values(trials=["e-0", "e-1"], names=["a"]) == [1.0, 3.0, 5.0]
    assert values(group="system") == [6.0]


def test_names_of_files() -> None:
    file = File(3, 12)
    assert parse(file.name, 5) == File(3, 12, 5)
    assert parse("3-12.parquet", 5) is None
    assert parse(file.name + ".123.part", 5) is None


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=20))
def test_every_sequence_that_a_file_has_is_read_once(ranges: list[tuple[int, int]]) -> None:
    files = [File(first, first + length) for first, length in ranges]
    read: list[int] = []
    for file, after in cover(files):
        read += range(after + 1, file.last + 1)
    assert read == sorted({n for f in files for n in range(f.first + 1, f.last + 1)})
    assert end(files) == max(read, default=0)
    rest = [f for f in files if f not in spare(files)]
    assert cover(rest) == cover(files)


def test_files_of_one_size_are_merged_and_each_point_is_written_few_times() -> None:
    files: list[File] = []
    written = 0
    for n in range(1000):
        files.append(File(n, n + 1, 1000))
        written += 1000
        while parts := to_merge(files):
            made = File(parts[0].first, parts[-1].last, sum(p.size for p in parts))
            written += made.size
            files = [f for f in files if f not in parts] + [made]
    assert end(files) == 1000
    assert sum(f.size for f in files) == 1_000_000
    assert len(files) < 4 * MERGED
    assert written < 6 * 1_000_000


def _row(**changes: Any) -> dict[str, Any]:
    row = {
        "trial_id": "e-0", "attempt": 1, "step": 0, "time": None, "at": 1.0,
        "group": "training", "source": "", "metrics": {},
    }  # fmt: skip
    return row | changes
