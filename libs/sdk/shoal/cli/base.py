"""What all commands share."""

import importlib.util
import json
import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shoal.client import Client, ShoalError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="An experiment's id, as `shoal ls` shows.")]
AnyId = Annotated[str, typer.Argument(metavar="ID", help="Of an experiment or a trial.")]

PASS_THROUGH = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""For a command whose arguments another program reads."""


def hand_over(module: str, missing: str, *arguments: str) -> None:
    """Become `python -m <module> <arguments>`; fail with the sentence `missing` without it."""
    if importlib.util.find_spec(module) is None:
        raise ShoalError(missing)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606


def simulator(*arguments: str) -> None:
    """Become the simulator, with these arguments."""
    missing = "The simulator is not installed: pip install shoal-simulator."
    hand_over("shoal_simulator", missing, *arguments)


def client() -> Client:
    """A line to the platform at hand."""
    return Client()


def say(text: str) -> None:
    """Print a line at once, as it is."""
    typer.echo(text)


def say_json(value: Any) -> None:
    """Print JSON, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(columns: list[str], rows: list[list[Any]], nothing: str) -> None:
    """Print rows below one another, or the sentence `nothing` if there is none."""
    if not rows:
        say(nothing)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(text(cell) for cell in row))
    out = Console()
    wide = out if out.is_terminal else Console(width=200)
    wide.print(grid, highlight=False, markup=False)


def text(value: Any) -> str:
    """A cell: numbers short, nothing as a dash, mappings as `a=1 b=2`."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, dict):
        return " ".join(f"{name}={text(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list):
        return ",".join(text(item) for item in value)
    return str(value)


def is_trial(name: str) -> bool:
    """Whether an id is a trial's: `<experiment>-<number>`."""
    head, dash, number = name.rpartition("-")
    return bool(head and dash and number.isdigit())
