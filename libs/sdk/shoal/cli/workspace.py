"""`shoal workspace create`, `ls`, `show`, `grant`, `revoke`, and its secrets."""

from typing import Annotated, Literal

import typer

from shoal.cli.base import client, commands
from shoal.cli.login import password as ask_unseen
from shoal.cli.printing import in_json, say, table, tell

group = commands("Places for experiments, and who may see them.")
secret = commands("What its trials find in their environment.")
group.add_typer(secret, name="secret")
Workspace = Annotated[str, typer.Argument(metavar="WORKSPACE")]
User = Annotated[str, typer.Argument(metavar="USER")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As in `environment.secrets`.")]


@group.command()
def create(
    workspace: Workspace, description: Annotated[str, typer.Option(help="What for.")] = ""
) -> None:
    """Make a workspace."""
    found = client().create_workspace(workspace, description)
    tell(found, f"There is a workspace {workspace}: `resources: {{workspace: {workspace}}}`.")


@group.command()
def ls() -> None:
    """List the workspaces that you may see."""
    found = client().workspaces()
    if in_json(found):
        return
    rows = [[w["workspace"], w["role"], w["description"]] for w in found]
    table(["WORKSPACE", "ROLE", "DESCRIPTION"], rows, "There is none that you may see.")


@group.command()
def show(workspace: Workspace) -> None:
    """Show a workspace and its members."""
    found = client().workspace(workspace)
    if in_json(found):
        return
    rows = [[name, role] for name, role in sorted(found["members"].items())]
    table(["MEMBER", "ROLE"], rows, "It has no members.")
    quota = found.get("quota")
    if quota and quota["used_up"]:
        say(
            f"Its quota of {quota['month']} is used up: {quota['used_up']}. Trials that wait start"
            " when the month ends (UTC), or with another quota."
        )


@group.command()
def grant(
    workspace: Workspace,
    user: User,
    role: Annotated[Literal["viewer", "editor", "admin"], typer.Argument()],
) -> None:
    """Give a user a role in a workspace."""
    found = client().set_member(workspace, user, role)
    tell(found, f"{user} is {role} in {workspace}.")


@group.command()
def revoke(workspace: Workspace, user: User) -> None:
    """Take a user's role in a workspace away."""
    found = client().set_member(workspace, user, None)
    tell(found, f"{user} has no role in {workspace}.")


@secret.command("set")
def set_secret(workspace: Workspace, name: Name) -> None:
    """Keep a secret. Its value is asked for, or read from the standard input: one line."""
    found = client().set_secret(workspace, name, ask_unseen("Value"))
    tell(found, f"{workspace} has the secret {name}.")


@secret.command("ls")
def list_secrets(workspace: Workspace) -> None:
    """List the names of secrets; values are never shown."""
    found = client().secrets(workspace)
    if in_json(found):
        return
    table(["NAME"], [[s["name"]] for s in found], "There is none.")


@secret.command("rm")
def remove_secret(workspace: Workspace, name: Name) -> None:
    """Forget a secret."""
    found = client().remove_secret(workspace, name)
    tell(found, f"{workspace} no longer has the secret {name}.")
