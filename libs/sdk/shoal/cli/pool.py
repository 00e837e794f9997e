"""`shoal pool ls`, `show`, `drain`, `resume`, `cap`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from shoal.answers.machines import Crossed, PoolRow
from shoal.cli.base import client, commands
from shoal.cli.printing import fields, in_json, say, table, tell, text

group = commands("See resource pools, drain them, limit them.")
Name = Annotated[str, typer.Argument(metavar="POOL", help="Its name, as `shoal pool ls` shows.")]


@group.command()
def ls() -> None:
    """List resource pools, with their machines and what these cost an hour."""
    found = client().pools()
    if in_json(found):
        return
    rows = [
        [
            p["pool"],
            p["driver"],
            _state(p),
            p["instances"],
            f"{p['limits']['min_instances']}-{p['limits']['max_instances']}",
            p["slots"],
            p["missing_slots"],
            f"{p['cost_per_hour']:,.2f}",
        ]
        for p in found
    ]
    columns = ["POOL", "DRIVER", "STATE", "MACHINES", "ALLOWED", "SLOTS", "MISSING", "USD/H"]
    table(columns, rows, "The provisioner serves no pool.")


@group.command()
def show(name: Name) -> None:
    """Show a pool: its limits, what it would do if it only observes, and its machines."""
    found = client().pool(name)
    if in_json(found):
        return
    shown = {
        "pool": found["pool"],
        "driver": found["driver"],
        "state": _state(found),
        "provisioning": found["provisioning"],
        "deadline policy": found["deadline_policy"],
        "kinds": found["kinds"],
        "zones": found["zones"],
        **{limit: _limit(found, limit) for limit in found["limits"]},
        "missing slots": found["missing_slots"],
        "USD an hour": f"{found['cost_per_hour']:,.2f}",
        "would": found["would"],
        "budget": _crossed(found["crossed"]),
    }
    fields(shown)
    say("")
    rows = [
        [
            m["instance_id"],
            m["state"],
            m.get("kind"),
            m.get("zone"),
            "spot" if m.get("spot") else "on demand",
            f"{m.get('price', 0.0):,.2f}",
            m.get("node_id"),
            list(m.get("shares") or {}),
        ]
        for m in found["machines"]
    ]
    columns = ["MACHINE", "STATE", "KIND", "ZONE", "SORT", "USD/H", "NODE", "WORKS FOR"]
    table(columns, rows, "It has no machine at the moment.")


@group.command()
def drain(
    name: Name,
    node: Annotated[str | None, typer.Option(metavar="NODE", help="This node alone.")] = None,
) -> None:
    """Let a pool's machines, or one node, checkpoint and go. None starts until `resume`."""
    found = client().drain_pool(name, node)
    words = f"{name} is asked to drain. `shoal pool resume {name}` lets it start machines again."
    if node is not None:
        words = f"{node} is asked to drain. It is used again when its worker is started anew."
    tell(found, words)


@group.command()
def resume(name: Name) -> None:
    """Let a pool that was drained start machines again."""
    found = client().resume_pool(name)
    tell(found, f"{name} is asked to go on.")


@group.command()
def cap(
    name: Name,
    max: Annotated[int | None, typer.Option("--max", min=0, help="Machines at most.")] = None,
    min: Annotated[int | None, typer.Option("--min", min=0, help="Machines at least.")] = None,
    per_hour: Annotated[float | None, typer.Option(help="USD in a clock hour at most.")] = None,
    per_day: Annotated[float | None, typer.Option(help="USD in a day (UTC) at most.")] = None,
    mode: Annotated[
        Literal["act", "observe"] | None, typer.Option(help="Observe: say what it would do.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="First of all, as the pool's description says.")
    ] = False,
) -> None:
    """Give a pool other limits. What runs above them checkpoints and is released; they outlive a
    restart."""
    asked: dict[str, Any] = {
        "max_instances": max,
        "min_instances": min,
        "per_hour": per_hour,
        "per_day": per_day,
        "mode": mode,
    }
    if not reset and all(value is None for value in asked.values()):
        raise typer.BadParameter("say --max, --min, --per-hour, --per-day, --mode or --reset.")
    found = client().change_pool(name, **asked, reset=reset)
    limits = {name: value for name, value in found["limits"].items() if value is not None}
    tell(found, f"{name} is asked to go by: {text(limits)}.")


def _state(pool: PoolRow) -> str:
    if pool["draining"]:
        return "draining"
    return "observing" if pool["limits"]["mode"] == "observe" else "acting"


def _limit(pool: PoolRow, name: str) -> str:
    limits: Mapping[str, Any] = pool["limits"]
    configured: Mapping[str, Any] = pool["configured"]
    now, described = limits[name], configured[name]
    return text(now) if now == described else f"{text(now)} (described: {text(described)})"


def _crossed(word: Crossed | None) -> str | None:
    if word is None:
        return None
    return f"{word['share']:.0%} of {word['limit']:g} USD a {word['period']} crossed last"
