"""`shoal plan` and `shoal simulate`: a described cluster, in virtual time."""

import typer

from shoal.cli.base import PASS_THROUGH, simulator


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    app.command(context_settings=PASS_THROUGH)(plan)
    app.command(context_settings=PASS_THROUGH)(simulate)


def plan(context: typer.Context) -> None:
    """Tell who starts, yields and waits on the cluster in FILE. `plan --help` says more."""
    simulator(context)


def simulate(context: typer.Context) -> None:
    """Play the cluster in FILE through in virtual time. `simulate --help` says more."""
    simulator(context)
