"""`shoal simulate`: a cluster in virtual time."""

import typer

from shoal.cli.base import PASS_THROUGH, hand_over


def add(app: typer.Typer) -> None:
    """Put the command into `app`."""
    app.command(context_settings=PASS_THROUGH)(simulate)


def simulate(context: typer.Context) -> None:
    """Play the cluster in FILE through in virtual time. `simulate --help` says more."""
    missing = "The simulator is not installed: pip install shoal-simulator."
    hand_over("shoal_simulator", missing, "cluster", *context.args)
