"""`shoal plan`: what the scheduler would do with a described cluster."""

import typer

from shoal.cli.base import PASS_THROUGH, hand_over


def add(app: typer.Typer) -> None:
    """Put the command into `app`."""
    app.command(context_settings=PASS_THROUGH)(plan)


def plan(context: typer.Context) -> None:
    """Tell who starts, yields and waits on the cluster in FILE. `plan --help` says more."""
    missing = "The simulator is not installed: pip install shoal-simulator."
    hand_over("shoal_simulator", missing, "plan", *context.args)
