"""`shoal simulate`: a cluster and its experiments, from a file."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from shoal_contract.parse import plain
from shoal_simulator.cluster import Report, Scenario, Simulation
from shoal_simulator.curves import CurvesError
from shoal_simulator.traces import resolved
from shoal_simulator.watch import BrokenPromiseError


def command(
    file: Annotated[Path, typer.Argument(help="A cluster file.", show_default=False)],
    seeds: Annotated[
        int, typer.Option(min=1, help="Runs: the file's seed and those after it.")
    ] = 1,
    plot: Annotated[
        Path | None, typer.Option(help="Write who ran where in the first run, a PNG.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play a cluster through in virtual time, with the real deciders of every service."""
    scenario = read(file)
    reports: list[Report] = []
    for seed in range(scenario.seed, scenario.seed + seeds):
        simulation = Simulation(scenario.model_copy(update={"seed": seed}))
        try:
            reports.append(simulation.run())
        except BrokenPromiseError as error:
            raise CurvesError(f"a promise was broken with seed {seed}, {error}") from error
        if plot is not None and seed == scenario.seed:
            from shoal_simulator.timeline import draw

            draw(plot, simulation.watch.stays)
    if json_:
        typer.echo(json.dumps([report.model_dump() for report in reports], indent=2))
        return
    grid = Table(box=None, pad_edge=False, show_header=False)
    for name in Report.model_fields:
        grid.add_row(name.replace("_", " "), _text(name, reports))
    Console(width=100).print(grid, highlight=False)
    late = [report for report in reports if report.finished < report.experiments]
    if late:
        typer.echo(
            f"In {len(late)} of {len(reports)} runs not all experiments had ended after"
            f" {scenario.until:.6g} s: see `until` in the file."
        )
    if plot is not None:
        typer.echo(f"Who ran where: {plot}")


def read(file: Path) -> Scenario:
    """A cluster file. Raises CurvesError with what is wrong, in a sentence."""
    try:
        return Scenario.model_validate(resolved(yaml.safe_load(file.read_text()), file.parent))
    except OSError as error:
        raise CurvesError(f"{file} cannot be read: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        raise CurvesError(f"{file} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CurvesError(f"{file}: {where}: {plain(first['msg'])}") from error


def _text(name: str, reports: Sequence[Report]) -> str:
    """A figure's median, and its range where the runs differ."""
    values = [value for report in reports if (value := getattr(report, name)) is not None]
    if not values:
        return "-"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.6g}" if low == high else f"{middle:.6g} ({low:.6g} to {high:.6g})"
