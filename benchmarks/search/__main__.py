"""The search benchmark: `python -m benchmarks.search` from the repository's root."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.recorded import record
from benchmarks.search import measure, report, tables
from benchmarks.search.contenders import CONTENDERS, SLOW
from benchmarks.search.settings import Settings

ROOT = Path(__file__).parents[1]
LOCAL = ROOT / "results" / "local" / "search.json"
"""Where results go unless said: never over those that are recorded, which may be richer."""


def main() -> None:
    """Play every contender over every seed; print and write the report."""
    options = parse()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # for the pool's processes: one thread each
    table = measure.load(options.table)
    seeds = {name: options.slow if name in SLOW else options.seeds for name in CONTENDERS}
    names = [n for n in CONTENDERS if seeds[n] and n in (options.only or CONTENDERS)]
    tasks = [
        measure.Task(name, Settings(seed, options.workers, divisor, table.points), options.table)
        for divisor in options.divisor
        for seed in range(max(options.seeds, options.slow))
        for name in names
        if seed < seeds[name]
    ]
    runs = measure.play_all(measure.play, tasks, options.processes, options.resume)
    text = [f"# Search\n\n{report.machine()}\n\n{report.settings(table, options)}"]
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for divisor in options.divisor:
        groups = {
            name: [run for run in runs if (run["contender"], run["divisor"]) == (name, divisor)]
            for name in names
        }
        rows = [measure.summary(group, table.units) for group in groups.values()]
        plot = options.json.with_suffix(f".{divisor}.png")
        report.plot(groups, table, plot)
        text += [f"## Divisor {divisor}", report.curves_table(rows), f"![{plot.stem}]({plot.name})"]
    finals: list[dict[str, Any]] = []
    if options.tables:
        asked = [
            tables.Task(proposer, name, seed)
            for seed in range(options.tables)
            for name in tables.TABLES
            for proposer in tables.PROPOSERS
            if seed < options.tables_slow or proposer not in tables.SLOW
        ]
        finals = measure.play_all(tables.play, asked, options.processes, options.resume)
        seeds_of = f"{options.tables} seeds, {options.tables_slow} of those that think for a minute"
        text += [f"## Tables of final results, {seeds_of} a run", report.tables_table(finals)]
    record(options.json.with_suffix(".md"), "\n\n".join(text))
    raw = {"machine": report.machine(), "runs": runs, "tables": finals}
    options.json.write_text(json.dumps(raw, separators=(",", ":")) + "\n")
    print("\n\n".join(text))


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.search", description=__doc__)
    add = parser.add_argument
    add("--seeds", type=int, default=100)
    add("--workers", type=int, default=8, help="of the virtual cluster")
    add("--divisor", type=int, nargs="+", default=[4], help="the halving methods' reduction factor")
    add("--only", nargs="+", metavar="NAME", choices=list(CONTENDERS), help="these contenders")
    add("--processes", type=int, default=2, help="runs at a time")
    add("--slow", type=int, default=0, metavar="SEEDS", help="also those that think for minutes")
    add("--tables", type=int, default=0, metavar="SEEDS", help="also tables of final results")
    add("--tables-slow", type=int, default=5, metavar="SEEDS", help="on them, of what thinks long")
    add("--resume", type=Path, metavar="FILE", help="keep each run here; go on where it ended")
    add("--table", type=Path, default=ROOT / "curves" / "digits-cnn.json.gz")
    add("--json", type=Path, default=LOCAL, help=".md, .png beside it; by default not the record")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
