"""`shoal explain`: why things are as they are."""

import time
from typing import Annotated

import typer

from shoal.cli.base import client, commands
from shoal.cli.printing import in_json, say

group = commands("Say why things are as they are.")


@group.command()
def trial(
    id: Annotated[str, typer.Argument(metavar="ID", help="A trial's id, as `shoal show` lists.")],
) -> None:
    """Tell a trial's story, and where it stands now and why."""
    found = client().explain(id)
    if in_json(found):
        return
    for event in found["events"]:
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["at"]))
        say(f"{clock}  {event['text']}")
    say("")
    say(found["now"])
