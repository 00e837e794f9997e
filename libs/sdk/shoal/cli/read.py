"""Commands that show what is: `ls`, `show`, `nodes`."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from shoal.answers.experiments import Best, Experiment
from shoal.answers.trials import Trial
from shoal.cli.base import AnyId, client, is_trial, state_of
from shoal.cli.printing import fields, in_json, say, table, text, wide
from shoal_contract.states import ExperimentState

_SHOWN = (
    "experiment_id", "name", "workspace", "project", "state", "reason", "closing", "trials",
    "max_trials", "max_concurrent_trials", "best", "best_hyperparameters", "best_metrics",
    "best_checkpoint", "slot_seconds",
)  # fmt: skip
_WIDE = ("METHOD", "OWNER", "WORKSPACE", "PROJECT", "LABELS", "ENDED", "SLOT-HOURS", "REASON")
Sorts = Literal[
    "submitted", "-submitted", "ended", "-ended", "name", "-name", "state", "-state",
    "owner", "-owner",
]  # fmt: skip


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    for command in (ls, show, nodes):
        app.command()(command)


def ls(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    state: Annotated[
        list[ExperimentState] | None, typer.Option(help="In this state; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="With this in the name.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="With this label; repeatable.")] = None,
    owner: Annotated[str | None, typer.Option(help="Of this user.")] = None,
    workspace: Annotated[str | None, typer.Option(help="In this workspace.")] = None,
    project: Annotated[str | None, typer.Option(help="In this project.")] = None,
    search: Annotated[str | None, typer.Option(help="With these words somewhere.")] = None,
    sort: Annotated[Sorts | None, typer.Option(help="By this; with -, down.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Archived ones, too.")] = False,
) -> None:
    """List experiments, newest first."""
    found = client().experiments(
        limit, state=[one.value for one in state or ()], name=name, label=label, owner=owner,
        workspace=workspace, project=project, q=search, sort=sort, archived=None if all else False,
    )  # fmt: skip
    if in_json(found):
        return
    rows = [
        [
            e["experiment_id"],
            e["name"],
            e["state"],
            _when(e["submitted_at"]),
            e["trials"],
            _best(e),
            *([_more(e, name) for name in _WIDE] if wide() else []),
        ]
        for e in found
    ]
    columns = ["ID", "NAME", "STATE", "SUBMITTED", "TRIALS", "BEST", *(_WIDE if wide() else ())]
    table(columns, rows, "No experiment here. `shoal run FILE` submits one.")


def show(id: AnyId) -> None:
    """Show an experiment with its trials, or one trial."""
    line = client()
    if is_trial(id):
        trial = line.trial(id)
        if not in_json(trial):
            fields(trial)
        return
    experiment, trials = line.experiment(id), line.trials(id)
    if in_json(experiment | {"trial_rows": trials}):
        return
    shown: dict[str, Any] = {**experiment, **_result(experiment["best"])}
    failed = {"sampler failed": why} if (why := experiment.get("sampler_failure")) else {}
    fields({name: shown.get(name) for name in _SHOWN} | failed)
    say("")
    _trials(experiment, trials)
    if experiment.get("front"):
        say("")
        _front(experiment)


def nodes(
    all: Annotated[bool, typer.Option("--all", help="Those that are gone, too.")] = False,
) -> None:
    """List the machines that have slots."""
    found = [n for n in client().nodes() if all or n["state"] != "removed"]
    if in_json(found):
        return
    rows = [
        [
            n["node_id"],
            n["pool"],
            n["state"],
            f"{n['used']}/{len(n['slots'])}",
            sorted({s["model"] for s in n["slots"]}),
            n["trials"],
            n["aside"],
        ]
        for n in found
    ]
    table(
        ["NODE", "POOL", "STATE", "USED", "MODELS", "TRIALS", "PUT ASIDE"],
        rows,
        "No node at the moment.",
    )


def _trials(experiment: Experiment, trials: list[Trial]) -> None:
    """The table of an experiment's trials. Columns that say nothing here are left out."""
    brackets = len({t.get("bracket", 0) for t in trials}) > 1
    objectives = _objectives(experiment)
    rows = [
        [
            t["trial_id"],
            state_of(t),
            _origin(t),
            *([t["bracket"]] if brackets else []),
            t["rung"],
            t["time"],
            t["metric"],
            *(t["objectives"] or [None] * len(objectives) if objectives else []),
            None if t["best"] is None else t["best"]["metric"],
            t["node_ids"],
            t["hyperparameters"],
        ]
        for t in trials
    ]
    columns = ["TRIAL", "STATE", "ORIGIN", *(["BRACKET"] if brackets else []), "RUNG", "TIME"]
    columns += ["METRIC", *objectives, "BEST", "NODES", "HYPERPARAMETERS"]
    if wide():
        for row, t in zip(rows, trials, strict=True):
            row += [t["slots"], t["slot_seconds"], t["restarts"], t["losses"], t["preemptions"]]
            row.append(t["reason"])
        columns += ["SLOTS", "SLOT-SECONDS", "RESTARTS", "LOSSES", "PREEMPTIONS", "REASON"]
    table(columns, rows, "No trial yet.")


def _result(best: Best | None) -> dict[str, Any]:
    """The best result, in fields that are short."""
    if best is None:
        return {}
    checkpoint = best.get("checkpoint")
    return {
        "best": f"{text(best['metric'])} by {best['trial_id']} at step {best['step']}",
        "best_metrics": best.get("metrics"),
        "best_hyperparameters": best.get("hyperparameters"),
        "best_checkpoint": None if checkpoint is None else checkpoint["url"],
    }


def _front(experiment: Experiment) -> None:
    """The results that no other beats in all objectives."""
    names = [experiment["config"]["searcher"]["metric"], *_objectives(experiment)]
    rows = [
        [f["trial_id"], f["step"], *(metrics.get(n) for n in names), f.get("hyperparameters")]
        for f in experiment["front"]
        if (metrics := f.get("metrics") or {})
    ]
    table(["FRONT", "STEP", *names, "HYPERPARAMETERS"], rows, "")


def _objectives(experiment: Experiment) -> list[str]:
    """The metrics that an experiment optimises beside its first."""
    return [o["metric"] for o in experiment["config"]["searcher"].get("objectives", ())]


def _best(experiment: Experiment) -> Any:
    """The best result; where several objectives leave several, how many they are."""
    if front := experiment.get("front"):
        return f"front of {len(front)}"
    return None if experiment["best"] is None else experiment["best"]["metric"]


def _origin(trial: Trial) -> str | None:
    """What proposed a trial, and the one that it goes on from."""
    origin, parent = trial.get("origin"), trial.get("parent")
    return f"{origin} from {parent}" if parent else origin


def _more(experiment: Mapping[str, Any], column: str) -> Any:
    """A cell of `-o wide`."""
    config = experiment["config"]
    match column:
        case "METHOD":
            return config["searcher"]["name"]
        case "WORKSPACE":
            return config["resources"].get("workspace")
        case "LABELS":
            return experiment.get("labels", config["labels"])
        case "ENDED":
            return None if experiment["ended_at"] is None else _when(experiment["ended_at"])
        case "SLOT-HOURS":
            return experiment["slot_seconds"] / 3600
    return experiment.get(column.lower())


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
