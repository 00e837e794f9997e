"""`shoal cost`: what machines cost, and what for."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from shoal.answers.machines import Sums
from shoal.cli.base import client
from shoal.cli.printing import in_json, say, table

By = Literal["experiment", "pool", "kind", "day"]
USES = ("used", "lost", "idle", "starting")


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(cost)


def cost(
    experiment: Annotated[str | None, typer.Option(metavar="ID", help="Of this one alone.")] = None,
    pool: Annotated[str | None, typer.Option(help="Of this pool alone.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From this day (UTC) on; 7d: the last seven days.")
    ] = None,
    by: Annotated[By | None, typer.Option(help="What to list.")] = None,
) -> None:
    """Tell what machines cost, what that would have been on demand, and what was wasted.

    All in USD, by experiment where nothing else is said. Lost: work that had to be done again.
    Idle: machines, or slots of machines, without work. Starting: machines before their worker
    joined. An experiment's own cost is what it used and lost.
    """
    found = client().cost(experiment=experiment, pool=pool, since=since)
    if in_json(found):
        return
    total, chosen = found["total"], by or ("day" if experiment else "experiment")
    since_when = f" since {found['since']}" if found["since"] else ""
    say(f"{_usd(total['cost'])} USD spent{since_when}{_compared(total)}.")
    seconds: Mapping[str, Any] = total["machine_seconds"]
    if whole := sum(seconds.values()):
        parts = ", ".join(f"{seconds[use] / whole:.1%} {use}" for use in USES)
        say(f"{whole / 3600:,.2f} machine-hours: {parts}.")
    say("")
    divided: Mapping[str, Any] = found["by"]
    rows = [_row(chosen, row) for row in divided[chosen]]
    columns = [chosen.upper(), "SPENT", "ON DEMAND", "SAVED", *(use.upper() for use in USES)]
    table([*columns, "HOURS"], rows, "No machine has run yet.")


def _row(by: str, row: Mapping[str, Any]) -> list[Any]:
    saved = "" if row["saved"] is None else f"{row['saved']:.1%}"
    hours = sum(row["machine_seconds"].values()) / 3600
    money = [_usd(row[name]) for name in ("cost", "on_demand")]
    return [row[by], *money, saved, *(_usd(row[use]) for use in USES), f"{hours:.2f}"]


def _compared(total: Sums) -> str:
    if total["saved"] is None:
        return ""
    return f"; on demand it would have been {_usd(total['on_demand'])} ({total['saved']:.1%} saved)"


def _usd(amount: float) -> str:
    return f"{amount:,.2f}"
