"""What all commands share."""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shoal.client import Client, Row, ShoalError
from shoal_contract.ids import experiment_of_trial

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[
    Literal["wide", "json"] | None,
    typer.Option("--output", "-o", help="`wide`: all columns, nothing cut; `json`: as --json."),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="An experiment's id, as `shoal ls` shows.")]
AnyId = Annotated[str, typer.Argument(metavar="ID", help="Of an experiment or a trial.")]

COLOURS = {
    "active": "green", "running": "green", "completed": "cyan", "ready": "green",
    "paused": "yellow", "waiting": "yellow", "draining": "yellow",
    "failed": "red", "cancelled": "magenta", "stopped": "magenta", "removed": "red",
}  # fmt: skip
"""Of states, on a terminal."""

PASS_THROUGH = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""For a command whose arguments another program reads."""


def path_of(context: Any) -> list[str]:
    """What a command is called, group by group: `search`, `preview`."""
    above = context.parent
    return [] if above is None else [*path_of(above), str(context.info_name)]


def hand_over(module: str, missing: str, *arguments: str) -> None:
    """Become `python -m <module> <arguments>`; fail with the sentence `missing` without it."""
    if importlib.util.find_spec(module) is None:
        raise ShoalError(missing)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606


def simulator(context: typer.Context) -> None:
    """Become the simulator, whose commands are called as here."""
    missing = "The simulator is not installed: pip install shoal-simulator."
    hand_over("shoal_simulator", missing, *path_of(context), *context.args)


def client() -> Client:
    """A line to the platform at hand."""
    return Client()


def say(text: str) -> None:
    """Print a line at once, as it is."""
    typer.echo(text)


def say_json(value: Any) -> None:
    """Print JSON, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def submitted(experiment: Row, json: bool) -> None:
    """Tell of an experiment that was submitted, and is left to itself."""
    if json:
        say_json(experiment)
    else:
        say(f"{experiment['experiment_id']} submitted; `shoal show` and `shoal logs` tell more.")


def as_json(json: bool, output: str | None) -> bool:
    """Whether JSON was asked for, in either way."""
    return json or output == "json"


def table(columns: list[str], rows: list[list[Any]], nothing: str, *, wide: bool = False) -> None:
    """Print rows below one another, or the sentence `nothing` if there is none. `wide`: each on
    one line, however long."""
    if not rows:
        say(nothing)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(cell) for cell in row))
    out = Console()
    if wide:
        out = Console(width=100_000)
    elif not out.is_terminal:
        out = Console(width=200)
    out.print(grid, highlight=False, markup=False, crop=False)


def _cell(value: Any) -> Text:
    words = text(value)
    return Text(words, style=COLOURS.get(words, ""))


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


def parts(id: str) -> tuple[str, str | None]:
    """The experiment that an id is of, and the trial, if it is a trial's."""
    return (experiment_of_trial(id), id) if is_trial(id) else (id, None)


def state_of(trial: Mapping[str, Any]) -> str:
    """A trial's state, in which those that want slots run or wait."""
    if trial["state"] == "wanted":
        return "running" if trial["running"] else "waiting"
    return str(trial["state"])


def fields(row: Row) -> None:
    """Print a row, a field a line."""
    width = max(len(name) for name in row)
    for name, value in row.items():
        say(f"{name.replace('_', ' '):{width}}  {text(value)}")
