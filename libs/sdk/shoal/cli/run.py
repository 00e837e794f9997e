"""`shoal run`: from a file to an experiment, and its story as it happens."""

import time
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from shoal.answers.experiments import Experiment, Submitted
from shoal.cli import story
from shoal.cli.base import INTERRUPTED, Id, client, submitted
from shoal.cli.printing import json_line, say, tell
from shoal.cli.progress import counting, transferring
from shoal.client import Client, ShoalError

_TRIAL_ENDS = ("trial.completed", "trial.stopped", "trial.cancelled", "trial.failed")


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(run)
    app.command()(wait)


def run(
    file: Annotated[Path, typer.Argument(help="The experiment, as YAML.")],
    follow: Annotated[bool, typer.Option(help="Tell what happens until it has ended.")] = True,
    template: Annotated[
        str | None, typer.Option(help="What the file is put on top of; see `shoal template`.")
    ] = None,
) -> None:
    """Submit an experiment with the code in its file's folder.

    Exit code: 0 completed, 1 failed, 3 cancelled; 130 after Ctrl-C, and the experiment goes on.
    """
    config = load(file)
    line = client()
    experiment = _submit(line, config, file.absolute().parent, template)
    if not follow:
        submitted(experiment)
        return
    raise typer.Exit(watch(line, experiment["experiment_id"]))


def wait(id: Id) -> None:
    """Wait until an experiment has ended. Exit code: 0 completed, 1 failed, 3 cancelled."""
    line = client()
    most = line.experiment(id)["max_trials"]
    over: set[str] = set()
    types = (*story.ENDS, *_TRIAL_ENDS)
    with counting(id) as update:
        for event in line.events(experiment=id, types=types, since="start"):
            if (end := event["type"]) in story.ENDS:
                break
            over.add(event["data"]["trial_id"])
            update(len(over), most, "of the trials have ended")
    state = end.removeprefix("search.")  # what reads show may be a moment older
    tell(line.experiment(id) | {"state": state}, f"{id} is {state}.")
    raise typer.Exit(story.ENDS[end])


def _submit(
    line: Client, config: Any, folder: Path, template: str | None
) -> Experiment | Submitted:
    with transferring("the code") as advance:
        return line.run(config, folder, watch=advance, template=template)


def load(file: Path) -> Any:
    """What a YAML file says. Raises ShoalError, in a sentence, if it cannot be read."""
    try:
        config = yaml.safe_load(file.read_text())
    except OSError as error:
        raise ShoalError(f"{file} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ShoalError(f"{file} is no text.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ShoalError(
            f"{file} is no YAML{where}: {getattr(error, 'problem', error)}."
        ) from error
    if not isinstance(config, dict):
        raise ShoalError(f"{file} must be a mapping of fields to values.")
    if isinstance(deadline := config.get("deadline"), date):  # as YAML reads one without quotes
        config["deadline"] = deadline.isoformat()
    return config


def watch(line: Client, experiment_id: str) -> int:
    """Tell what happens to an experiment until it has ended; returns the exit code."""
    try:
        for event in line.events(experiment=experiment_id, types=story.FOLLOWED, since="start"):
            if not json_line(event) and (words := story.line(event)) is not None:
                say(f"{time.strftime('%H:%M:%S', time.localtime(event['time']))} {words}")
            if event["type"] in story.ENDS:
                return story.ENDS[event["type"]]
    except KeyboardInterrupt:
        typer.echo(
            f"\n{experiment_id} goes on. Look again: shoal events --experiment {experiment_id};"
            f" end it: shoal stop {experiment_id}",
            err=True,
        )
        return INTERRUPTED
    return 1
