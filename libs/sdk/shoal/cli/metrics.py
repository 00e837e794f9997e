"""`shoal metrics` and `shoal compare`: what trials reported, and which did best."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from shoal.answers.trials import Report
from shoal.cli.base import AnyId, client, is_trial, parts
from shoal.cli.curves import curves, plot, spark
from shoal.cli.printing import in_json, say, table, text, wide
from shoal.client import Client, Row, ShoalError

MOST_PLOTTED = 12
"""Curves in one plot."""


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    app.command()(metrics)
    app.command()(compare)


def metrics(
    id: AnyId,
    group: Annotated[Literal["validation", "training", "system"], typer.Option()] = "validation",
    trial: Annotated[str | None, typer.Option(help="Of this trial alone.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="This alone; repeatable.")] = None,
    reports: Annotated[bool, typer.Option("--reports", help="Every report.")] = False,
    superseded: Annotated[
        bool,
        typer.Option("--superseded", help="Every report, also of steps that were trained again."),
    ] = False,
    draw: Annotated[bool, typer.Option("--plot", help="Draw the curves.")] = False,
) -> None:
    """Print the metrics of an experiment's trials, or of one trial: a curve, first, last and best.

    With --reports, every report; with --plot, a plot of each metric.
    """
    experiment, one = parts(id)
    trial = one or trial
    reports = reports or superseded
    points = 0 if reports else None
    line = client()
    found = line.metrics(
        experiment, group=group, trial=trial, name=metric, points=points, superseded=superseded
    )
    if missing := set(metric or ()) - _names(found):
        there = _names(line.metrics(experiment, group=group, trial=trial, points=1))
        if there:
            raise ShoalError(
                f"No {group} report has {', '.join(sorted(missing))};"
                f" there {'is' if len(there) == 1 else 'are'} {', '.join(sorted(there))}."
            )
    if in_json(found):
        return
    nothing = f"No {group} report yet."
    if reports:
        columns = ["TRIAL", "ATTEMPT", "STEP", "TIME", "METRICS"]
        rows = [
            [p["trial_id"], p["attempt"], p["step"], p.get("time"), p["metrics"]] for p in found
        ]
        if superseded:
            columns.insert(2, "SUPERSEDED")
            for row, report in zip(rows, found, strict=True):
                row.insert(2, "yes" if report.get("superseded") else "")
        table(columns, rows, nothing)
    elif draw:
        _draw(found, nothing)
    else:
        _summary(found, nothing)


def compare(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Experiments or trials.")],
    all: Annotated[bool, typer.Option("--all", help="Also what is the same everywhere.")] = False,
) -> None:
    """Put experiments (their best trials) or trials side by side: hyperparameters and results."""
    line = client()
    found = [_column(line, one) for one in dict.fromkeys(ids)]
    if in_json(found):
        return
    names = list(dict.fromkeys(name for column in found for name in column["values"]))
    rows = []
    for name in names:
        cells = [text(column["values"].get(name)) for column in found]
        if all or len(found) == 1 or len(set(cells)) > 1 or not name.startswith("hp "):
            rows.append([name.removeprefix("hp "), *cells])
    table(["", *(column["id"] for column in found)], rows, "")


def _names(reports: list[Report]) -> set[str]:
    return {name for report in reports for name in report["metrics"]}


def _column(line: Client, id: str) -> Row:
    """What `compare` says of an experiment's best trial, or of a trial."""
    experiment = line.experiment(parts(id)[0])
    top = experiment["best"]
    name = id if is_trial(id) else top and top["trial_id"]
    searcher = experiment["config"]["searcher"]
    values: dict[str, Any] = {"experiment": experiment["name"], "method": searcher["name"]}
    if name is None:
        return {"id": id, "values": values | {"state": experiment["state"]}}
    trial = line.trial(name)
    best: Mapping[str, Any] = trial["best"] or {}
    values |= {"trial": name, "state": trial["state"]}
    values |= {f"best {searcher['metric']}": best.get("metric"), "at step": best.get("step")}
    values |= {"trained up to": trial["time"], "slot-hours": trial["slot_seconds"] / 3600}
    values |= {f"hp {key}": value for key, value in _flat(trial["hyperparameters"]).items()}
    return {"id": id, "values": values}


def _flat(values: Row, prefix: str = "") -> Row:
    found: Row = {}
    for name, value in values.items():
        inner = value if isinstance(value, dict) else None
        found |= _flat(inner, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return found


def _summary(found: list[Report], nothing: str) -> None:
    rows = []
    for (trial_id, name), curve in curves(found).items():
        values = [value for _, value in curve]
        row = [trial_id, name, len(values), values[0], values[-1], min(values), max(values)]
        rows.append([*row, spark(values, 60 if wide() else 20)])
    columns = ["TRIAL", "METRIC", "REPORTS", "FIRST", "LAST", "LEAST", "GREATEST", "CURVE"]
    table(columns, rows, nothing)


def _draw(found: list[Report], nothing: str) -> None:
    lines = curves(found)
    if not lines:
        say(nothing)
        return
    out = Console()
    width = out.width if out.is_terminal else 100
    for name, count in Counter(name for _, name in lines).items():
        chosen = [(trial, curve) for (trial, n), curve in lines.items() if n == name]
        title = name if count <= MOST_PLOTTED else f"{name} (the first {MOST_PLOTTED} of {count})"
        shown = dict(chosen[:MOST_PLOTTED])
        try:
            say(plot(shown, title, width=width, height=16, colour=out.is_terminal))
        except ImportError as error:
            raise ShoalError("Plots need plotext: pip install plotext.") from error
