"""`shoal workspace create`, `ls`, `show`, `grant`, `revoke`, and its secrets."""

from typing import Annotated, Literal

import typer

from shoal.cli.base import Json, client, say, say_json, table
from shoal.cli.login import password as ask_unseen

group = typer.Typer(help="Places for experiments, and who may see them.", no_args_is_help=True)
secret = typer.Typer(help="What its trials find in their environment.", no_args_is_help=True)
group.add_typer(secret, name="secret")
Workspace = Annotated[str, typer.Argument(metavar="WORKSPACE")]
User = Annotated[str, typer.Argument(metavar="USER")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As in `environment.secrets`.")]


@group.command()
def create(
    workspace: Workspace, description: Annotated[str, typer.Option(help="What for.")] = ""
) -> None:
    """Make a workspace."""
    client().create_workspace(workspace, description)
    say(f"There is a workspace {workspace}: `resources: {{workspace: {workspace}}}`.")


@group.command()
def ls(json: Json = False) -> None:
    """List the workspaces that you may see."""
    found = client().workspaces()
    if json:
        say_json(found)
        return
    rows = [[w["workspace"], w["role"], w["description"]] for w in found]
    table(["WORKSPACE", "ROLE", "DESCRIPTION"], rows, "There is none that you may see.")


@group.command()
def show(workspace: Workspace, json: Json = False) -> None:
    """Show a workspace and its members."""
    found = client().workspace(workspace)
    if json:
        say_json(found)
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
    client().set_member(workspace, user, role)
    say(f"{user} is {role} in {workspace}.")


@group.command()
def revoke(workspace: Workspace, user: User) -> None:
    """Take a user's role in a workspace away."""
    client().set_member(workspace, user, None)
    say(f"{user} has no role in {workspace}.")


@secret.command("set")
def set_secret(workspace: Workspace, name: Name) -> None:
    """Keep a secret. Its value is asked for, or read from the standard input: one line."""
    client().set_secret(workspace, name, ask_unseen("Value"))
    say(f"{workspace} has the secret {name}.")


@secret.command("ls")
def list_secrets(workspace: Workspace, json: Json = False) -> None:
    """List the names of secrets; values are never shown."""
    found = client().secrets(workspace)
    if json:
        say_json(found)
        return
    table(["NAME"], [[s["name"]] for s in found], "There is none.")


@secret.command("rm")
def remove_secret(workspace: Workspace, name: Name) -> None:
    """Forget a secret."""
    client().remove_secret(workspace, name)
    say(f"{workspace} no longer has the secret {name}.")
