"""What all commands share."""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from shoal.answers.experiments import Experiment, Submitted
from shoal.cli.printing import tell
from shoal.client import Client, ShoalError
from shoal_contract.ids import experiment_of_trial

Id = Annotated[str, typer.Argument(metavar="ID", help="An experiment's id, as `shoal ls` shows.")]
AnyId = Annotated[str, typer.Argument(metavar="ID", help="Of an experiment or a trial.")]

INTERRUPTED = 130
"""The exit code after Ctrl-C."""
PASS_THROUGH = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""For a command whose arguments another program reads."""


def path_of(context: Any) -> list[str]:
    """What a command is called, group by group: `search`, `preview`."""
    above = context.parent
    return [] if above is None else [*path_of(above), str(context.info_name)]


def hand_over(module: str, missing: str, *arguments: str) -> None:
    """Become `python -m <module> <arguments>`; fail with the sentence `missing` without it."""
    if importlib.util.find_spec(module) is None:
        raise ShoalError(missing)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606


def simulator(context: typer.Context) -> None:
    """Become the simulator, whose commands are called as here."""
    missing = "The simulator is not installed: pip install shoal-simulator."
    hand_over("shoal_simulator", missing, *path_of(context), *context.args)


def client() -> Client:
    """A line to the platform at hand."""
    return Client()


def submitted(experiment: Experiment | Submitted) -> None:
    """Tell of an experiment that was submitted, and is left to itself."""
    id = experiment["experiment_id"]
    tell(experiment, f"{id} submitted; `shoal show` and `shoal logs` tell more.")


def is_trial(name: str) -> bool:
    """Whether an id is a trial's: `<experiment>-<number>`."""
    head, dash, number = name.rpartition("-")
    return bool(head and dash and number.isdigit())


def parts(id: str) -> tuple[str, str | None]:
    """The experiment that an id is of, and the trial, if it is a trial's."""
    return (experiment_of_trial(id), id) if is_trial(id) else (id, None)


def state_of(trial: Mapping[str, Any]) -> str:
    """A trial's state, in which those that want slots run or wait."""
    if trial["state"] == "wanted":
        return "running" if trial["running"] else "waiting"
    return str(trial["state"])


def commands(about: str) -> typer.Typer:
    """A group of commands; alone it says what there is."""
    return typer.Typer(help=about, callback=_explain(about), invoke_without_command=True)


def _explain(about: str) -> Callable[[typer.Context], None]:
    def explain(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    explain.__doc__ = about
    return explain


def confirmed(question: str) -> None:
    """Go on if a person says yes. Raises ShoalError if there is nobody to ask."""
    try:
        yes = typer.confirm(question, err=True)
    except typer.Abort as abort:
        if isinstance(abort.__context__, EOFError):
            typer.echo(err=True)
            raise ShoalError("There is nobody to ask: pass --yes to go ahead.") from abort
        raise
    if not yes:
        raise typer.Exit(1)
