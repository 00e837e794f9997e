"""`shoal token create`, `ls`, `revoke`."""

import time
from typing import Annotated, Literal

import typer

from shoal.cli.base import client, commands
from shoal.cli.printing import in_json, table, tell

group = commands("Tokens for programs, to be set as SHOAL_TOKEN.")


@group.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        Literal["read", "write", "admin"], typer.Option(help="The most that it allows.")
    ] = "write",
    workspace: Annotated[str | None, typer.Option(help="The only one where it counts.")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=366, help="How long it counts.")] = 90,
) -> None:
    """Make a token. It is printed this once."""
    found = client().create_token(name, scope=scope, workspace=workspace, days=days)
    tell(found, found["token"])


@group.command()
def ls() -> None:
    """List your tokens, without what they are shown as; administrators see everybody's."""
    found = client().tokens()
    if in_json(found):
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
    found = client().revoke_token(token_id)
    tell(found, f"The token {token_id} no longer counts.")
