"""`shoal events`: what happens, and what can."""

import json
import time
from typing import Annotated, Literal

import typer

from shoal import asyncapi
from shoal.cli.base import client
from shoal.cli.printing import choosing, json_line, say, tell, text
from shoal.client import ShoalError

group = typer.Typer(help="Watch what happens; describe what can.")


@group.callback(invoke_without_command=True)
@choosing
def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option(help="Go on as things happen.")] = True,
    experiment: Annotated[str | None, typer.Option(help="Of this experiment alone.")] = None,
    workspace: Annotated[str | None, typer.Option(help="Of its experiments alone.")] = None,
    type: Annotated[list[str] | None, typer.Option(help="Beginning of types; repeatable.")] = None,
    since: Annotated[Literal["start", "now"] | None, typer.Option(help="From when on.")] = None,
) -> None:
    """Print events, one a line. They come from now on, or with --no-follow from the start."""
    if context.invoked_subcommand is not None:
        return
    begin = since or ("now" if follow and experiment is None else "start")
    line = client()
    if experiment is not None:
        line.experiment(experiment)  # an error, rather than silence, where there is none
    types = tuple(type or ())
    found = line.events(
        experiment=experiment, workspace=workspace, types=types, since=begin, follow=follow
    )
    for event in found:
        if json_line(event):
            continue
        clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        say(f"{clock} {event['type']:22} {text(_short(event['data']))}")


@group.command()
def schema(
    type: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Of this type.")] = None,
) -> None:
    """Print the JSON Schema of one event type, or of all."""
    if type is None:
        say(json.dumps(asyncapi.schemas(), indent=2))
        return
    try:
        say(json.dumps(asyncapi.schema(type), indent=2))
    except LookupError as error:
        known = "`shoal events schema` prints all"
        raise ShoalError(f"There is no event type {type!r}; {known}.") from error


@group.command("asyncapi")
def print_asyncapi() -> None:
    """Print an AsyncAPI 3.0 document of all events, as YAML."""
    tell(asyncapi.document(), asyncapi.text().rstrip())


def _short(data: dict[str, object]) -> dict[str, object]:
    """The fields of an event that fit on a line."""
    return {k: v for k, v in data.items() if isinstance(v, str | int | float) and v != ""}
