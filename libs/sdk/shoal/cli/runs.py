"""`shoal runs`: each attempt of a trial, what it got and what ended it."""

import time
from typing import Any

import typer

from shoal.cli.base import AnyId, Json, Output, as_json, client, parts, say_json, table
from shoal.client import Row


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(runs)


def runs(id: AnyId, output: Output = None, json: Json = False) -> None:
    """List the runs of an experiment or a trial: each attempt, what it got and what ended it."""
    experiment, trial = parts(id)
    found = client().runs(experiment, trial=trial)
    if as_json(json, output):
        say_json(found)
        return
    now, wide = time.time(), output == "wide"
    rows = [
        [
            run["trial_id"],
            run["attempt"],
            run["outcome"] or run["state"],
            _seconds(run["requested_at"], run["granted_at"] or run["ended_at"] or now),
            _seconds(run["granted_at"], run["ended_at"] or now),
            run["slots"],
            run["node_ids"],
            run["from_step"],
            run["last_time"],
            run["reason"],
            *([run["asked_for"], [_exit(one) for one in run["exits"]]] if wide else []),
        ]
        for run in found
    ]
    columns = ["TRIAL", "RUN", "STATE", "WAITED", "RAN", "SLOTS", "NODES", "FROM", "TO", "WHY"]
    columns += ["ASKED-FOR", "EXITS"] if wide else []
    table(columns, rows, "No run yet.", wide=wide)


def _seconds(since: float | None, until: float) -> str | None:
    return None if since is None else f"{max(0.0, until - since):.1f} s"


def _exit(exit: Row) -> Any:
    code = "" if exit["exit_code"] is None else f" ({exit['exit_code']})"
    return f"{exit['node_id']}: {exit['outcome']}{code}"
