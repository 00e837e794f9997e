"""`shoal logs`: what processes write."""

from typing import Annotated, Literal

import typer

from shoal.cli.base import AnyId, client, parts
from shoal.cli.printing import json_line, say


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(logs)


def logs(
    id: AnyId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    trial: Annotated[str | None, typer.Option(help="Of this trial alone.")] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", min=1, max=5000, help="The last so many lines.")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=0, help="Of this rank alone.")] = None,
    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"] | None,
        typer.Option(help="Of this level, or a graver one."),
    ] = None,
    search: Annotated[str | None, typer.Option(help="With this text in the line.")] = None,
) -> None:
    """Print what the processes of an experiment or trial wrote. With --json, pieces as lines."""
    experiment, one = parts(id)
    ask = client().follow_logs if follow else client().logs
    found = ask(experiment, trial=one or trial, tail=tail, rank=rank, level=level, search=search)
    for piece in found:
        if not json_line(piece):
            for words in piece["lines"]:
                say(f"{piece['trial_id']}[{piece['rank']}] {words}")
