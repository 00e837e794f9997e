"""`python -m shoal_simulator`: what `shoal search`, `shoal plan` and `shoal simulate` run."""

import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from shoal_contract.config import ExperimentConfig
from shoal_contract.parse import ConfigError, parse_experiment
from shoal_searcher.core.sampling import SamplerError
from shoal_simulator.cluster_command import command as cluster_command
from shoal_simulator.curves import Curves, CurvesError
from shoal_simulator.plan import command as plan_command
from shoal_simulator.preview import preview
from shoal_simulator.search import Point, Result, simulate

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
File = Annotated[Path, typer.Argument(help="An experiment file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
search = typer.Typer(no_args_is_help=True, help="What a search would do.")
app.add_typer(search, name="search")
app.command("plan")(plan_command)
app.command("simulate")(cluster_command)


@search.command("preview")
def preview_command(file: File, json_: Json = False) -> None:
    """Show rungs, trials and concurrency of each bracket, and what the search will cost."""
    config = _read(file)
    found = preview(config)
    if json_:
        typer.echo(json.dumps(found, indent=2))
        return
    unit = config.searcher.time_metric
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("BRACKET", f"RUNGS ({unit})", "TRIALS", "AT ONCE"):
        grid.add_column(column)
    for number, bracket in enumerate(found["brackets"]):
        rungs = " ".join(map(str, bracket["rungs"]))
        grid.add_row(
            str(number), rungs, str(bracket["max_trials"]), str(bracket["max_concurrent_trials"])
        )
    Console(width=None if sys.stdout.isatty() else 200).print(grid, highlight=False)
    typer.echo(_cost(config, found["total_units"], found["full_units"]))


def _cost(config: ExperimentConfig, total: int, full: int) -> str:
    """What a search costs, in a sentence."""
    searcher = config.searcher
    if searcher.name == "custom":
        return (
            "Its program decides how many trials there are, and how far each trains: at most"
            f" {searcher.max_time} {searcher.time_metric}."
        )
    words = f"About {total} {searcher.time_metric} in all"
    if searcher.budget is not None and searcher.budget.units == total:
        words += ", when its budget ends it"
    if full > total:
        words += f", {full / total:.3g} times less than every trial in full ({full})"
    return f"{words}."


@search.command("simulate")
def simulate_command(
    file: File,
    curves: Annotated[Path, typer.Option(help="Recorded learning curves.")],
    workers: Annotated[int, typer.Option(min=1, help="Slots.")] = 8,
    seeds: Annotated[int, typer.Option(min=1, help="Searches, each with a seed of its own.")] = 20,
    within: Annotated[
        float, typer.Option(min=0, max=1, help="Of the curves' best: the target to reach.")
    ] = 0.01,
    plot: Annotated[Path | None, typer.Option(help="Write best-so-far over time, a PNG.")] = None,
    json_: Json = False,
) -> None:
    """Run the real searcher over recorded learning curves, in virtual time."""
    config, table = _read(file), Curves.load(curves)
    searcher = config.searcher
    best = table.best(searcher.metric, searcher.smaller_is_better)
    target = best + within * abs(best) * (1 if searcher.smaller_is_better else -1)
    results: list[Result] = []
    for seed in range(seeds):
        if not json_ and sys.stderr.isatty():
            typer.echo(f"search {seed + 1} of {seeds}\r", err=True, nl=False)
        results.append(simulate(config, table, workers=workers, seed=seed))
    reached = [result.reached(target, searcher.smaller_is_better) for result in results]
    found: dict[str, Any] = {
        "target": target,
        "best_of_table": best,
        "table_units": len(table) * table.max_time,
        "reached": sum(point is not None for point in reached),
        "median_seconds": _median(reached, "seconds"),
        "median_units": _median(reached, "units"),
        "searches": [
            _row(seed, r, p) for seed, (r, p) in enumerate(zip(results, reached, strict=True))
        ],
    }
    if plot is not None:
        from shoal_simulator.plot import draw

        draw(plot, results, searcher.metric, target)
    if json_:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(
        f"Target: {searcher.metric} {target:.6g}, within {within:.0%} of the best of {len(table)}"
        f" recorded configurations ({best:.6g})."
    )
    typer.echo(f"Reached in {found['reached']} of {seeds} searches on {workers} slots.")
    if found["median_units"] is not None:
        ratio = found["table_units"] / found["median_units"]
        typer.echo(
            f"Median to the target: {found['median_units']:.0f} {searcher.time_metric} and"
            f" {found['median_seconds']:.4g} s; training all in full takes"
            f" {found['table_units']}, {ratio:.3g} times as many."
        )
    else:
        typer.echo("No median: it takes more than half of the searches to reach the target.")
    if plot is not None:
        typer.echo(f"Plot: {plot}")


def _row(seed: int, result: Result, point: Point | None) -> dict[str, Any]:
    end = result.points[-1]
    return {
        "seed": seed,
        "seconds_to_target": None if point is None else point.seconds,
        "units_to_target": None if point is None else point.units,
        "best": None if math.isnan(end.best) else end.best,
        "seconds": end.seconds,
        "units": end.units,
        "trials": result.trials,
    }


def _median(reached: Sequence[Point | None], name: str) -> float | None:
    """The median over all searches; one that never reached the target counts as the longest."""
    values = sorted(float("inf") if p is None else float(getattr(p, name)) for p in reached)
    median = statistics.median(values)
    return None if median == float("inf") else median


def _read(file: Path) -> ExperimentConfig:
    try:
        return parse_experiment(yaml.safe_load(file.read_text()))
    except OSError as error:
        raise CurvesError(f"{file} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        what = " ".join(str(error).split())
        raise CurvesError(f"{file} is no YAML: {what}") from error


def main() -> None:
    """Run the command; what a person can mend is one sentence and exit code 1."""
    try:
        app(prog_name="shoal")
    except (CurvesError, ConfigError, SamplerError) as error:
        sys.exit(f"shoal: {error}")


if __name__ == "__main__":
    main()
