"""`shoal fork`, `continue`, `edit`, `archive`, `unarchive`, `delete`: experiments as things."""

from typing import Annotated, Any

import typer
import yaml

from shoal.cli.base import Id, client, confirmed, submitted
from shoal.cli.printing import tell, tell_one
from shoal.client import Row, ShoalError

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="A field and its new value, e.g. searcher.max_trials=8; repeatable."
    ),
]
Name = Annotated[str | None, typer.Option(help="Of the new experiment.")]
Some = Annotated[list[str], typer.Argument(metavar="EXPERIMENT...", help="Their ids.")]


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    for command in (fork, edit, archive, unarchive, delete):
        app.command()(command)
    app.command("continue")(go_on)


def fork(id: Id, sets: Sets = None, name: Name = None) -> None:
    """Submit an experiment again, with the same code and what --set changes."""
    submitted(client().fork(id, _changes(sets, name)))


def go_on(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="Its id, as `shoal show` lists.")],
    max_time: Annotated[
        int | None, typer.Option(min=1, help="How far to train; as far as before by default.")
    ] = None,
    sets: Sets = None,
    name: Name = None,
) -> None:
    """Train on from a trial's newest checkpoint, with its hyperparameters, as a new experiment."""
    submitted(client().go_on(trial, max_time, _changes(sets, name)))


def edit(
    id: Id,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="All labels that it is to have; repeatable.")
    ] = None,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Take all labels away.")] = False,
    notes: Annotated[str | None, typer.Option(help="What you found out.")] = None,
    project: Annotated[
        str | None, typer.Option(help="The project of its workspace that it goes to.")
    ] = None,
) -> None:
    """Change what an experiment is called, what is noted of it, and to which project it belongs."""
    labels = [] if no_labels else label
    if (name, description, labels, notes, project) == (None,) * 5:
        raise typer.BadParameter(
            "say --name, --description, --label, --no-labels, --notes or --project."
        )
    found = client().edit(
        id, name=name, description=description, labels=labels, notes=notes, project=project
    )
    tell(found, f"{id} is changed.")


def archive(ids: Some) -> None:
    """Leave experiments that have ended out of lists."""
    for one in ids:
        found = client().archive(one)
        tell_one(found, f"{one} is archived. `shoal ls --all` shows it.")


def unarchive(ids: Some) -> None:
    """Put archived experiments back into lists."""
    for one in ids:
        found = client().unarchive(one)
        tell_one(found, f"{one} is back.")


def delete(
    ids: Some, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Remove experiments that have ended, with their checkpoints, for good."""
    if not yes:
        confirmed(f"Remove {', '.join(ids)} and all their checkpoints?")
    for one in ids:
        found = client().delete(one)
        tell_one(found, f"{one} is removed.")


def _changes(sets: list[str] | None, name: str | None) -> Row:
    """A part of a config from `a.b=c`. A value is read as YAML.

    >>> _changes(["searcher.max_trials=8", "labels=[a, b]"], None)
    {'searcher': {'max_trials': 8}, 'labels': ['a', 'b']}
    """
    found: Row = {} if name is None else {"name": name}
    for text in sets or ():
        path, equals, value = text.partition("=")
        if not (path and equals):
            raise ShoalError(f"--set {text!r} is no field and value: write a.b=c.")
        try:
            _put(found, path.split("."), yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise ShoalError(f"--set {text!r}: the value is no YAML.") from error
    return found


def _put(into: Row, names: list[str], value: Any) -> None:
    for name in names[:-1]:
        inner = into.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ShoalError(f"--set gives {name!r} both a value and fields.")
        into = inner
    into[names[-1]] = value
