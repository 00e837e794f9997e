"""`shoal pause`, `resume`, `stop`."""

import typer

from shoal.cli.base import Id, client, say


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    for command in (pause, resume, stop):
        app.command()(command)


def pause(id: Id) -> None:
    """Let an experiment checkpoint and give its slots back, to go on later."""
    client().pause(id)
    say(f"{id} is asked to pause. `shoal resume {id}` lets it go on.")


def resume(id: Id) -> None:
    """Let a paused experiment go on."""
    client().resume(id)
    say(f"{id} is asked to go on.")


def stop(id: Id) -> None:
    """End an experiment."""
    client().cancel(id)
    say(f"{id} is asked to end.")
