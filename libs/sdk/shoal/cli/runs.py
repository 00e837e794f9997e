"""`shoal runs`: each attempt of a trial, what it got and what ended it."""

import time

import typer

from shoal.answers.trials import Exit
from shoal.cli.base import AnyId, client, parts
from shoal.cli.printing import in_json, table, wide


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(runs)


def runs(id: AnyId) -> None:
    """List the runs of an experiment or a trial: each attempt, what it got and what ended it."""
    experiment, trial = parts(id)
    found = client().runs(experiment, trial=trial)
    if in_json(found):
        return
    now = time.time()
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
            *([run["asked_for"], [_exit(one) for one in run["exits"]]] if wide() else []),
        ]
        for run in found
    ]
    columns = ["TRIAL", "RUN", "STATE", "WAITED", "RAN", "SLOTS", "NODES", "FROM", "TO", "WHY"]
    columns += ["ASKED-FOR", "EXITS"] if wide() else []
    table(columns, rows, "No run yet.")


def _seconds(since: float | None, until: float) -> str | None:
    return None if since is None else f"{max(0.0, until - since):.1f} s"


def _exit(exit: Exit) -> str:
    code = "" if exit["exit_code"] is None else f" ({exit['exit_code']})"
    return f"{exit['node_id']}: {exit['outcome']}{code}"
