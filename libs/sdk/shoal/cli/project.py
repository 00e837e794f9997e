"""`shoal project ls`, `create`, `rename`, `describe`, `archive`, `unarchive`."""

from typing import Annotated

import typer

from shoal.cli.base import client, commands
from shoal.cli.printing import in_json, table, tell

group = commands("Experiments of a workspace that belong together.")
Name = Annotated[str, typer.Argument(metavar="PROJECT")]
Workspace = Annotated[str, typer.Option(help="Whose project.")]


@group.command()
def ls(
    workspace: Workspace = "default",
    all: Annotated[bool, typer.Option("--all", help="Archived ones, too.")] = False,
) -> None:
    """List the projects of a workspace."""
    found = client().projects(workspace, archived=all)
    if in_json(found):
        return
    rows = [[p["name"], p["by"], "yes" if p["archived"] else "no", p["description"]] for p in found]
    table(["NAME", "BY", "ARCHIVED", "DESCRIPTION"], rows, "None.")


@group.command()
def create(
    project: Name,
    workspace: Workspace = "default",
    description: Annotated[str, typer.Option(help="What it is about.")] = "",
) -> None:
    """Make a project. Experiments join it by `project` in their file."""
    found = client().create_project(project, description, workspace)
    tell(found, f"{workspace} has the project {project}. `shoal ls --project {project}` lists it.")


@group.command()
def rename(
    project: Name,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new one.")],
    workspace: Workspace = "default",
) -> None:
    """Call a project something else. Its experiments stay in it."""
    found = client().change_project(project, new_name=name, workspace=workspace)
    tell(found, f"{project} is {name} now.")


@group.command()
def describe(
    project: Name,
    description: Annotated[str, typer.Argument(metavar="TEXT")],
    workspace: Workspace = "default",
) -> None:
    """Say what a project is about."""
    found = client().change_project(project, description=description, workspace=workspace)
    tell(found, f"{project} is changed.")


@group.command()
def archive(project: Name, workspace: Workspace = "default") -> None:
    """Let a project take no more experiments. Those that it has stay."""
    found = client().change_project(project, archived=True, workspace=workspace)
    tell(found, f"{project} is archived. `shoal project ls --all` shows it.")


@group.command()
def unarchive(project: Name, workspace: Workspace = "default") -> None:
    """Let an archived project take experiments again."""
    found = client().change_project(project, archived=False, workspace=workspace)
    tell(found, f"{project} is back.")
