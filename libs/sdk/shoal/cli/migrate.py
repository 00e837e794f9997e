"""`shoal migrate`: an experiment file of another platform into ours."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from shoal.cli.base import Json, say_json
from shoal.cli.run import load
from shoal.client import ShoalError
from shoal.migrate import Note
from shoal.migrate import migrate as migrated
from shoal.migrate.notes import TITLES
from shoal_contract.parse import ConfigError, parse_experiment


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(migrate)


def migrate(
    file: Annotated[Path, typer.Argument(help="A Determined experiment, as YAML.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; else to the screen.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a Determined experiment file into ours.

    What is to be done by hand, means something else, or has no counterpart is said on stderr.
    """
    try:
        new, notes = migrated(load(file), file.stem)
    except ValueError as error:
        raise ShoalError(f"{file}: {error}.") from error
    try:
        parse_experiment(new)
    except ConfigError as error:
        raise ShoalError(str(error), errors=[p.model_dump() for p in error.problems]) from error
    if json:
        say_json({"config": new, "notes": [_row(note) for note in notes]})
        return
    text = yaml.safe_dump(new, sort_keys=False, allow_unicode=True, width=100)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text)
    _tell(notes)


def _tell(notes: list[Note]) -> None:
    for kind, title in TITLES.items():
        if of_kind := [note for note in notes if note.kind == kind]:
            typer.echo(f"{title}:", err=True)
            for note in of_kind:
                typer.echo(f"  {note}.", err=True)


def _row(note: Note) -> dict[str, str]:
    return {"kind": note.kind, "path": note.path, "text": note.text}
