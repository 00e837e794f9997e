"""`shoal pause`, `resume`, `stop`, `kill`, `set`."""

from typing import Annotated

import typer

from shoal.cli.base import AnyId, Id, client, is_trial
from shoal.cli.printing import tell


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    for command in (pause, resume, stop, kill):
        app.command()(command)
    app.command("set")(change)


def pause(id: Id) -> None:
    """Let an experiment checkpoint and give its slots back, to go on later."""
    found = client().pause(id)
    tell(found, f"{id} is asked to pause. `shoal resume {id}` lets it go on.")


def resume(id: Id) -> None:
    """Let a paused experiment go on."""
    found = client().resume(id)
    tell(found, f"{id} is asked to go on.")


def stop(id: AnyId) -> None:
    """End an experiment, or one trial alone, with a last checkpoint of what runs."""
    found = client().stop_trial(id) if is_trial(id) else client().cancel(id)
    tell(found, f"{id} is asked to end.")


def kill(id: AnyId) -> None:
    """End an experiment, or one trial alone, at once: what was trained since the last checkpoints
    is lost."""
    found = client().kill_trial(id) if is_trial(id) else client().kill(id)
    tell(found, f"{id} is asked to end at once.")


def change(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its id.")],
    max_trials: Annotated[
        int | None, typer.Option(min=1, help="Configurations to try in all.")
    ] = None,
    max_concurrent: Annotated[
        int | None, typer.Option(min=0, help="Trials in the air at once; 0: all there are.")
    ] = None,
) -> None:
    """Make a running search larger, smaller or wider."""
    if max_trials is None and max_concurrent is None:
        raise typer.BadParameter("say --max-trials or --max-concurrent.")
    found = client().change(experiment, max_trials=max_trials, max_concurrent_trials=max_concurrent)
    changed = {"max_trials": max_trials, "max_concurrent_trials": max_concurrent}
    words = ", ".join(f"{name} {n}" for name, n in changed.items() if n is not None)
    tell(found, f"{experiment} is asked to change: {words}.")
