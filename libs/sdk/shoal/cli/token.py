"""`shoal token create`, `ls`, `revoke`."""

import time
from typing import Annotated, Literal

import typer

from shoal.cli.base import Json, client, say, say_json, table

group = typer.Typer(help="Tokens for programs, to be set as SHOAL_TOKEN.", no_args_is_help=True)


@group.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        Literal["read", "write", "admin"], typer.Option(help="The most that it allows.")
    ] = "write",
    workspace: Annotated[str | None, typer.Option(help="The only one where it counts.")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=366, help="How long it counts.")] = 90,
    json: Json = False,
) -> None:
    """Make a token. It is printed this once."""
    found = client().create_token(name, scope=scope, workspace=workspace, days=days)
    if json:
        say_json(found)
    else:
        say(found["token"])


@group.command()
def ls(json: Json = False) -> None:
    """List your tokens, without what they are shown as; administrators see everybody's."""
    found = client().tokens()
    if json:
        say_json(found)
        return
    rows = [
        [
            t["token_id"],
            t["user"],
            t["kind"],
            t["name"],
            t["scope"],
            t["workspace"],
            time.strftime("%Y-%m-%d", time.localtime(t["expires_at"])),
        ]
        for t in found
    ]
    table(["ID", "USER", "KIND", "NAME", "SCOPE", "WORKSPACE", "UNTIL"], rows, "There is none.")


@group.command()
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a token, at once."""
    client().revoke_token(token_id)
    say(f"The token {token_id} no longer counts.")
