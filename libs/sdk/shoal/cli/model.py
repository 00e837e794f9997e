"""`shoal model create`, `ls`, `show`, `add`, `stage`, `rm`."""

import time
from typing import Annotated, Literal

import typer

from shoal.cli.base import client, commands
from shoal.cli.printing import in_json, table, tell

group = commands("Checkpoints that are worth a name.")
Name = Annotated[str, typer.Argument(metavar="MODEL")]
Workspace = Annotated[str, typer.Option(help="Where it is kept.")]


@group.command()
def create(
    name: Name,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    workspace: Workspace = "default",
) -> None:
    """Have a model of this name."""
    found = client().create_model(name, description, workspace)
    tell(found, f"{workspace} has the model {name}.")


@group.command()
def ls(workspace: Workspace = "default") -> None:
    """List models."""
    found = client().models(workspace)
    if in_json(found):
        return
    rows = [
        [
            m["name"],
            len(m["versions"]),
            next((v["version"] for v in m["versions"] if v["stage"] == "production"), None),
            m["description"],
        ]
        for m in found
    ]
    table(["MODEL", "VERSIONS", "IN PRODUCTION", "DESCRIPTION"], rows, "There is none.")


@group.command()
def show(name: Name, workspace: Workspace = "default") -> None:
    """Show a model's versions, the newest first."""
    found = client().model(name, workspace)
    if in_json(found):
        return
    rows = [
        [
            v["version"],
            v["stage"],
            v["checkpoint_id"],
            v["by"],
            time.strftime("%Y-%m-%d", time.localtime(v["at"])),
            v["notes"],
        ]
        for v in reversed(found["versions"])
    ]
    table(["VERSION", "STAGE", "CHECKPOINT", "BY", "SINCE", "NOTES"], rows, "It has no version.")


@group.command()
def add(
    name: Name,
    checkpoint: Annotated[str, typer.Argument(help="Its id, as `shoal checkpoint ls` shows.")],
    notes: Annotated[str, typer.Option(help="What is to be known of it.")] = "",
    workspace: Workspace = "default",
) -> None:
    """Make a checkpoint the model's next version; it is pinned."""
    found = client().add_version(name, checkpoint, notes, workspace)
    tell(found, f"{checkpoint} is version {found['version']} of {name}.")


@group.command()
def stage(
    name: Name,
    version: Annotated[int, typer.Argument(min=1)],
    stage: Annotated[Literal["none", "staging", "production", "archived"], typer.Argument()],
    workspace: Workspace = "default",
) -> None:
    """Say how far a version is; what was in production before is archived."""
    found = client().change_version(name, version, stage=stage, workspace=workspace)
    tell(found, f"Version {version} of {name}: {stage}.")


@group.command()
def rm(name: Name, workspace: Workspace = "default") -> None:
    """Forget a model. The checkpoints of its versions stay."""
    found = client().remove_model(name, workspace)
    tell(found, f"{workspace} no longer has the model {name}.")
