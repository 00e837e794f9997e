"""`shoal migrate`: an experiment file of another platform into ours."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from shoal.answers.base import FieldError
from shoal.cli.printing import in_json, json
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
    target: Annotated[
        Path | None, typer.Argument(metavar="[NEW]", help="Where to write; else to the screen.")
    ] = None,
) -> None:
    """Make a Determined experiment file into ours.

    What is to be done by hand, means something else, or has no counterpart is said on stderr.
    """
    new, notes = load(file), list[Note]()
    if ours := _ours(new):
        text = file.read_text()
    else:
        new, notes = _migrated(new, file)
        text = yaml.safe_dump(new, sort_keys=False, allow_unicode=True, width=100)
    if target is not None:
        target.write_text(text)
    found = {"config": new, "notes": [asdict(note) for note in notes]}
    if not in_json(found) and target is None:
        typer.echo(text, nl=False)
    if ours:
        typer.echo(f"{file} is an experiment of Shoal already: it stays as it is.", err=True)
    if not json():
        _tell(notes)


def _ours(document: Any) -> bool:
    """Whether an experiment is ours: Determined's may look the same, but for `batches`, which are
    what it counts by itself."""
    try:
        return parse_experiment(document).searcher.time_metric != "batches"
    except ConfigError:
        return False


def _migrated(document: Any, file: Path) -> tuple[Any, list[Note]]:
    try:
        new, notes = migrated(document, file.stem)
        parse_experiment(new)
    except ConfigError as error:
        problems = [
            FieldError(path=one.path, message=one.message, suggestion=one.suggestion)
            for one in error.problems
        ]
        raise ShoalError(str(error), errors=problems) from error
    except ValueError as error:
        raise ShoalError(f"{file}: {error}.") from error
    return new, notes


def _tell(notes: list[Note]) -> None:
    for kind, title in TITLES.items():
        if of_kind := [note for note in notes if note.kind == kind]:
            typer.echo(f"{title}:", err=True)
            for note in of_kind:
                typer.echo(f"  {note}.", err=True)
