"""`shoal up`, `down`, `status`, `demo`: the platform of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.base import PASS_THROUGH, client, hand_over
from shoal.cli.printing import in_json, say
from shoal.words import counted


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command(context_settings=PASS_THROUGH)(demo)


def up(
    state_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the gateway.")] = 8080,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, help="CPU slots of each machine. Left out: this machine's GPUs, if any."
        ),
    ] = None,
    machines: Annotated[int | None, typer.Option(min=1, help="Most machines.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go to the background.")] = False,
) -> None:
    """Start the platform on this machine, and keep it until Ctrl-C."""
    arguments = ["--port", str(port)]
    if state_dir is not None:
        arguments += ["--state-dir", str(state_dir)]
    if slots is not None:
        arguments += ["--slots", str(slots)]
    if machines is not None:
        arguments += ["--machines", str(machines)]
    _local("up", *arguments, *(["--detach"] if detach else []))


def down() -> None:
    """End the platform of this machine."""
    _local("down")


def demo(context: typer.Context) -> None:
    """Search over real images on this machine, watched live. `shoal demo --help` says more."""
    _local("demo", *context.args)


def status() -> None:
    """Say whether the platform works, and what it does."""
    line = client()
    line.ready()
    nodes, waiting = line.nodes(), line.queue()
    experiments = line.experiments(200)
    live = [n for n in nodes if n["state"] != "removed"]
    slots = sum(len(n["slots"]) for n in live)
    active = sum(e["state"] == "active" for e in experiments)
    found = {
        "url": line.url,
        "nodes": len(live),
        "slots": slots,
        "used": sum(n["used"] for n in live),
        "waiting": len(waiting),
        "active": active,
    }
    if in_json(found):
        return
    say(f"Shoal works at {found['url']}.")
    say(
        f"{counted(len(live), 'node')}, {found['used']} of {counted(slots, 'slot')} used,"
        f" {counted(len(waiting), 'trial')} waiting, {counted(active, 'experiment')} active."
    )


def _local(*arguments: str) -> None:
    hand_over(
        "shoal_local", "The local platform is not installed: pip install shoal-local.", *arguments
    )
