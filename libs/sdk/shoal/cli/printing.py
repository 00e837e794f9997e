"""How commands print: for people, or as JSON for programs.

Every command but those that another program prints for takes `--json` and `-o`; `choosing` gives
it both. What a command prints goes through here, and is as was asked for.
"""

import functools
import inspect
import json as jsonlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shoal.words import moment

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[
    Literal["wide", "json"] | None,
    typer.Option("--output", "-o", help="`wide`: all columns, nothing cut; `json`: as --json."),
]
_asked: ContextVar[Literal["wide", "json"] | None] = ContextVar("asked", default=None)

COLOURS = {
    "active": "green", "running": "green", "completed": "cyan", "ready": "green",
    "paused": "yellow", "waiting": "yellow", "draining": "yellow",
    "failed": "red", "cancelled": "magenta", "stopped": "magenta", "removed": "red",
}  # fmt: skip
"""Of states, on a terminal."""
TIMES, EPOCHAL = ("at", "since", "until", "deadline"), 1e9
"""Names, beside those that end in `_at`, of Unix seconds; and the least that these can be."""


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with `--json` and `-o`."""

    @functools.wraps(command)
    def run(*args: Any, json: bool = False, output: Any = None, **named: Any) -> Any:
        token = _asked.set("json" if json else output)
        try:
            return command(*args, **named)
        finally:
            _asked.reset(token)

    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in (("output", None, Output), ("json", False, Json))
    ]
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    run.__annotations__ = command.__annotations__ | {"output": Output, "json": Json}
    return run


def wide() -> bool:
    """Whether all columns are wanted."""
    return _asked.get() == "wide"


def json() -> bool:
    """Whether JSON is wanted."""
    return _asked.get() == "json"


def in_json(found: Any) -> bool:
    """Print it as one JSON document, if that is wanted; whether it was."""
    if json():
        say(jsonlib.dumps(found, indent=2, ensure_ascii=False))
    return json()


def json_line(found: Any) -> bool:
    """Print one of several as a line of JSON, if that is wanted; whether it was."""
    if json():
        say(jsonlib.dumps(found, ensure_ascii=False))
    return json()


def tell(found: Any, words: str) -> None:
    """Print what a request came to: the answer as JSON if that is wanted, else the words."""
    if not in_json(found):
        say(words)


def tell_one(found: Any, words: str) -> None:
    """The same of one of several requests: JSON comes as a line."""
    if not json_line(found):
        say(words)


def say(text: str) -> None:
    """Print a line at once, as it is."""
    typer.echo(text)


def table(columns: list[str], rows: list[list[Any]], nothing: str) -> None:
    """Print rows below one another, or the sentence `nothing` if there is none. Wide: each on one
    line, however long."""
    if not rows:
        say(nothing)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(cell) for cell in row))
    out = Console()
    if wide():
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
        return " ".join(f"{name}={named(name, item)}" for name, item in value.items()) or "-"
    if isinstance(value, list):
        return ",".join(text(item) for item in value)
    return str(value)


def named(name: str, value: Any) -> str:
    """A cell under a name, which tells what is a time."""
    if isinstance(value, float) and value > EPOCHAL and (name in TIMES or name.endswith("_at")):
        return moment(value)
    return text(value)


def fields(row: Mapping[str, Any]) -> None:
    """Print a row, a field a line."""
    width = max(len(name) for name in row)
    for name, value in row.items():
        say(f"{name.replace('_', ' '):{width}}  {named(name, value)}")
