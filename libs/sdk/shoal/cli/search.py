"""`shoal search`: what a search would do, without training anything."""

import typer

from shoal.cli.base import PASS_THROUGH, hand_over

group = typer.Typer(help="See what a search would do, without training.")


@group.command(context_settings=PASS_THROUGH)
def preview(context: typer.Context) -> None:
    """Tell the trials, rungs and cost that follow from FILE. `preview --help` says more."""
    _simulator("preview", *context.args)


@group.command(context_settings=PASS_THROUGH)
def simulate(context: typer.Context) -> None:
    """Play FILE through on recorded learning curves. `simulate --help` says more."""
    _simulator("simulate", *context.args)


def _simulator(*arguments: str) -> None:
    missing = "The simulator is not installed: pip install shoal-simulator."
    hand_over("shoal_simulator", missing, *arguments)
