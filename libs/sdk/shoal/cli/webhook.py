"""`shoal webhook create`, `ls`, `rm`."""

from typing import Annotated

import typer

from shoal.cli.base import Json, client, say, say_json, table

group = typer.Typer(help="Tell other systems what happens.", no_args_is_help=True)
Workspace = Annotated[str, typer.Option(help="Of whose experiments.")]


@group.command()
def create(
    url: Annotated[str, typer.Argument(help="A public http or https address.")],
    event: Annotated[
        list[str], typer.Option(help="Beginning of types: `search.`, `trial.failed`; repeatable.")
    ],
    workspace: Workspace = "default",
    json: Json = False,
) -> None:
    """Have a receiver told. Prints what its messages are signed with, this once."""
    found = client().create_webhook(url, event, workspace)
    if json:
        say_json(found)
    else:
        say(found["secret"])


@group.command()
def ls(workspace: Workspace = "default", json: Json = False) -> None:
    """List webhooks."""
    found = client().webhooks(workspace)
    if json:
        say_json(found)
        return
    rows = [[h["webhook_id"], h["url"], h["events"], h["by"]] for h in found]
    table(["ID", "URL", "EVENTS", "BY"], rows, "There is none.")


@group.command()
def rm(
    webhook_id: Annotated[str, typer.Argument(metavar="ID")], workspace: Workspace = "default"
) -> None:
    """Tell a receiver no more."""
    client().remove_webhook(webhook_id, workspace)
    say(f"The webhook {webhook_id} is gone.")
