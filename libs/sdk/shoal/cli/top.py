"""`shoal top`: the cluster and its experiments, live, on a whole terminal."""

import asyncio
import sys

import typer

from shoal.client import ShoalError


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(top)


def top() -> None:
    """Watch the cluster and its experiments on a whole terminal.

    Arrows move, enter shows an experiment's trials and curves, escape goes back; p pauses or lets
    go on, s stops (it asks), q ends.
    """
    if not sys.stdout.isatty():
        raise ShoalError("`shoal top` needs a terminal; `shoal ls` and `shoal status` do not.")
    asyncio.run(_show())


async def _show() -> None:
    from shoal.aio import AsyncClient
    from shoal.cli.screen.app import Top

    async with AsyncClient() as client:
        await client.nodes()  # one sentence, and no screen, where no platform answers
        await Top(client).run_async()
