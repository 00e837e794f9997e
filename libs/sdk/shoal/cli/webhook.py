"""`shoal webhook create`, `ls`, `rm`."""

from typing import Annotated

import typer

from shoal.cli.base import client, commands
from shoal.cli.printing import in_json, table, tell

group = commands("Tell other systems what happens.")
Workspace = Annotated[str, typer.Option(help="Of whose experiments.")]


@group.command()
def create(
    url: Annotated[str, typer.Argument(help="A public http or https address.")],
    event: Annotated[
        list[str], typer.Option(help="Beginning of types: `search.`, `trial.failed`; repeatable.")
    ],
    workspace: Workspace = "default",
) -> None:
    """Have a receiver told. Prints what its messages are signed with, this once."""
    found = client().create_webhook(url, event, workspace)
    tell(found, found["secret"])


@group.command()
def ls(workspace: Workspace = "default") -> None:
    """List webhooks."""
    found = client().webhooks(workspace)
    if in_json(found):
        return
    rows = [[h["webhook_id"], h["url"], h["events"], h["by"]] for h in found]
    table(["ID", "URL", "EVENTS", "BY"], rows, "There is none.")


@group.command()
def rm(
    webhook_id: Annotated[str, typer.Argument(metavar="ID")], workspace: Workspace = "default"
) -> None:
    """Tell a receiver no more."""
    found = client().remove_webhook(webhook_id, workspace)
    tell(found, f"The webhook {webhook_id} is gone.")
