"""`shoal template set`, `ls`, `show`, `rm`."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from shoal.cli.base import Json, client, say, say_json, table
from shoal.cli.run import load
from shoal.client import ShoalError

group = typer.Typer(
    help="Parts of configs, for `shoal run FILE --template NAME`.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(metavar="NAME")]
Workspace = Annotated[str, typer.Option(help="Where it is kept.")]


@group.command("set")
def keep(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A part of a config, as YAML.")],
    workspace: Workspace = "default",
) -> None:
    """Keep a template, instead of one of this name."""
    client().set_template(name, load(file), workspace)
    say(f"{workspace} has the template {name}.")


@group.command()
def ls(workspace: Workspace = "default", json: Json = False) -> None:
    """List templates."""
    found = client().templates(workspace)
    if json:
        say_json(found)
        return
    table(["NAME", "BY", "SETS"], [[t["name"], t["by"], list(t["config"])] for t in found], "None.")


@group.command()
def show(name: Name, workspace: Workspace = "default") -> None:
    """Print a template as YAML."""
    for found in client().templates(workspace):
        if found["name"] == name:
            typer.echo(yaml.safe_dump(found["config"], sort_keys=False), nl=False)
            return
    raise ShoalError(f"There is no template {name!r}.")


@group.command()
def rm(name: Name, workspace: Workspace = "default") -> None:
    """Forget a template."""
    client().remove_template(name, workspace)
    say(f"{workspace} no longer has the template {name}.")
