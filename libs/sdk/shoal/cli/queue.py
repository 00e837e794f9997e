"""`shoal queue`: what waits for slots, and who goes first."""

import time
from typing import Annotated

import typer

from shoal.cli.base import Id, client
from shoal.cli.printing import choosing, in_json, table, tell

group = typer.Typer(help="Show what waits for slots, or change who goes first.")

Trial = Annotated[str, typer.Argument(metavar="TRIAL", help="The id of a trial that waits.")]


@group.callback(invoke_without_command=True)
@choosing
def queue(
    context: typer.Context,
    pool: Annotated[str | None, typer.Option(help="Of this pool alone.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many; else all.")] = None,
) -> None:
    """Show what waits for slots, the first in line first, and why; or change who goes first."""
    if context.invoked_subcommand is not None:
        return
    found = client().queue(pool=pool, limit=limit)
    if in_json(found):
        return
    now = time.time()
    rows = [
        [
            " or ".join(row["pools"]),
            row["trial_id"],
            row["slots"],
            row["priority"],
            _span(now - row["since"]),
            "" if row["expected_at"] is None else f"in {_span(row['expected_at'] - now)}",
            row["reason"],
        ]
        for row in found
    ]
    columns = ["POOL", "TRIAL", "SLOTS", "PRIORITY", "WAITS", "STARTS", "WHY"]
    table(columns, rows, "Nothing waits for slots.")


@group.command()
def move(
    trial: Trial,
    ahead_of: Annotated[str, typer.Option(metavar="TRIAL", help="Another that waits.")],
) -> None:
    """Have a waiting trial served before another. Priorities and shares still count."""
    found = client().move_trial(trial, ahead_of)
    tell(found, f"{trial} is asked to go ahead of {ahead_of}.")


@group.command("set")
def change(
    id: Id,
    weight: Annotated[float | None, typer.Option(help="Its share, in fair_share pools.")] = None,
    priority: Annotated[
        int | None, typer.Option(min=1, max=99, help="The smaller is served first.")
    ] = None,
    max_slots: Annotated[int | None, typer.Option(min=0, help="At once; 0: no limit.")] = None,
) -> None:
    """Give an experiment another weight, priority or number of slots."""
    asked = {"weight": weight, "priority": priority, "max_slots": max_slots}
    if all(value is None for value in asked.values()):
        raise typer.BadParameter("say --weight, --priority or --max-slots.")
    found = client().share(id, weight=weight, priority=priority, max_slots=max_slots)
    words = ", ".join(f"{name} {n:g}" for name, n in asked.items() if n is not None)
    tell(found, f"{id} is asked to change: {words}.")


@group.command()
def hold(id: Id) -> None:
    """Let nothing more of an experiment start. What runs goes on."""
    found = client().share(id, hold=True)
    tell(found, f"{id} is asked to hold. `shoal queue release {id}` lets it start again.")


@group.command()
def release(id: Id) -> None:
    """Let a held experiment start again."""
    found = client().share(id, hold=False)
    tell(found, f"{id} is asked to go on.")


def _span(seconds: float) -> str:
    """A span of time, short.

    >>> _span(75), _span(600), _span(7200)
    ('75 s', '10 min', '2.0 h')
    """
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
