"""`shoal template set`, `ls`, `show`, `rm`."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from shoal.cli.base import client, commands
from shoal.cli.printing import in_json, table, tell
from shoal.cli.run import load
from shoal.client import ShoalError

group = commands("Parts of configs, for `shoal run FILE --template NAME`.")
Name = Annotated[str, typer.Argument(metavar="NAME")]
Workspace = Annotated[str, typer.Option(help="Where it is kept.")]


@group.command("set")
def keep(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A part of a config, as YAML.")],
    workspace: Workspace = "default",
) -> None:
    """Keep a template, instead of one of this name."""
    found = client().set_template(name, load(file), workspace)
    tell(found, f"{workspace} has the template {name}.")


@group.command()
def ls(workspace: Workspace = "default") -> None:
    """List templates."""
    found = client().templates(workspace)
    if in_json(found):
        return
    table(["NAME", "BY", "SETS"], [[t["name"], t["by"], list(t["config"])] for t in found], "None.")


@group.command()
def show(name: Name, workspace: Workspace = "default") -> None:
    """Print a template as YAML."""
    for found in client().templates(workspace):
        if found["name"] == name:
            tell(found, yaml.safe_dump(found["config"], sort_keys=False).rstrip())
            return
    raise ShoalError(f"There is no template {name!r}.")


@group.command()
def rm(name: Name, workspace: Workspace = "default") -> None:
    """Forget a template."""
    found = client().remove_template(name, workspace)
    tell(found, f"{workspace} no longer has the template {name}.")
