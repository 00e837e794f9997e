"""`shoal search`: what a search would do, without training anything."""

import typer

from shoal.cli.base import PASS_THROUGH, simulator

group = typer.Typer(help="See what a search would do, without training.")


@group.command(context_settings=PASS_THROUGH)
def preview(context: typer.Context) -> None:
    """Tell the trials, rungs and cost that follow from FILE. `preview --help` says more."""
    simulator("preview", *context.args)


@group.command(context_settings=PASS_THROUGH)
def simulate(context: typer.Context) -> None:
    """Play FILE through on recorded learning curves. `simulate --help` says more."""
    simulator("simulate", *context.args)
