"""`shoal search`: how a search stands, and what one would do, without training anything."""

from collections.abc import Mapping
from typing import Any

import typer

from shoal.answers.experiments import Bracket, Rung, Search
from shoal.cli.base import PASS_THROUGH, Id, client, commands, simulator
from shoal.cli.printing import fields, in_json, say, table

group = commands("See how a search stands, or what one would do, without training.")


@group.command()
def show(id: Id) -> None:
    """Show how far the search of an experiment is: its brackets and rungs."""
    found = client().searcher(id)
    if in_json(found):
        return
    shown = ("experiment_id", "method", "metric", "state", "closing", "trials")
    said: Mapping[str, Any] = found
    fields({name: said[name] for name in shown} | _progress(found))
    say("")
    rows = [
        [number, *_planned(bracket), *_reached(rung)]
        for number, bracket in enumerate(found["brackets"])
        for rung in (*bracket["rungs"],) or (None,)
    ]
    columns = ["BRACKET", "PLANNED", "TRIALS", "RUNG-AT", "RESULTS", "PAUSED", "BEST", "OF"]
    table(columns, rows, "No trial yet.")


def _progress(found: Search) -> dict[str, Any]:
    """What was trained so far, of what is expected, and what proposes."""
    of = "" if found["expected_units"] is None else f" of about {found['expected_units']}"
    unit = found["time_metric"]
    sampler: Mapping[str, Any] = found["sampler"] or {}
    known = "" if not sampler.get("known") else f", which has learned from {sampler['known']}"
    return {
        "trained": f"{found['units']}{of} (in units of {unit})",
        "sampler": sampler and f"{sampler['name']}{known}{_failed(sampler)}",
    }


def _failed(sampler: Mapping[str, Any]) -> str:
    """That it failed: the last time, or before."""
    if not (count := sampler.get("failures")):
        return ""
    times = "once" if count == 1 else f"{count} times"
    why = sampler["failure"]
    return f"; it failed {times}" + (f": {why}; draws take its place" if why else "")


def _planned(bracket: Bracket) -> list[Any]:
    return [bracket["max_trials"], bracket["trials"]]


def _reached(rung: Rung | None) -> list[Any]:
    if rung is None:
        return [None] * 5
    best: Mapping[str, Any] = rung["best"] or {}
    cells = [rung["target"], rung["results"], rung["paused"]]
    return [*cells, best.get("metric"), best.get("trial_id")]


@group.command(context_settings=PASS_THROUGH)
def preview(context: typer.Context) -> None:
    """Tell the trials, rungs and cost that follow from FILE. `preview --help` says more."""
    simulator(context)


@group.command(context_settings=PASS_THROUGH)
def simulate(context: typer.Context) -> None:
    """Play FILE through on recorded learning curves. `simulate --help` says more."""
    simulator(context)
