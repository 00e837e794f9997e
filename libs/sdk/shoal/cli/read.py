"""Commands that show what is: `ls`, `show`, `logs`, `metrics`, `nodes`."""

import time
from typing import Annotated, Any

import typer

from shoal.cli.base import (
    AnyId,
    Json,
    Output,
    as_json,
    client,
    fields,
    is_trial,
    parts,
    say,
    say_json,
    state_of,
    table,
)
from shoal.client import TERMINAL, Client, Row

_WIDE = ("METHOD", "OWNER", "WORKSPACE", "PROJECT", "LABELS", "ENDED", "SLOT-HOURS", "REASON")
Trial = Annotated[str | None, typer.Option(help="Of this trial alone.")]


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    for command in (ls, show, logs, nodes):
        app.command()(command)


def ls(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    state: Annotated[list[str] | None, typer.Option(help="In this state; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="With this in the name.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="With this label; repeatable.")] = None,
    owner: Annotated[str | None, typer.Option(help="Of this user.")] = None,
    workspace: Annotated[str | None, typer.Option(help="In this workspace.")] = None,
    project: Annotated[str | None, typer.Option(help="In this project.")] = None,
    search: Annotated[str | None, typer.Option(help="With these words somewhere.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="By submitted, ended, name, state or owner; -name: down.")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Archived ones, too.")] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """List experiments, newest first."""
    found = client().experiments(
        limit, state=state, name=name, label=label, owner=owner, workspace=workspace,
        project=project, q=search, sort=sort, archived=None if all else False,
    )  # fmt: skip
    if as_json(json, output):
        say_json(found)
        return
    wide = output == "wide"
    rows = [
        [
            e["experiment_id"],
            e["name"],
            e["state"],
            _when(e["submitted_at"]),
            e["trials"],
            _best(e),
            *([_more(e, name) for name in _WIDE] if wide else []),
        ]
        for e in found
    ]
    columns = ["ID", "NAME", "STATE", "SUBMITTED", "TRIALS", "BEST", *(_WIDE if wide else ())]
    table(columns, rows, "No experiment here. `shoal run FILE` submits one.", wide=wide)


def show(id: AnyId, output: Output = None, json: Json = False) -> None:
    """Show an experiment with its trials, or one trial."""
    json = as_json(json, output)
    line = client()
    if is_trial(id):
        trial = line.trial(id)
        if json:
            say_json(trial)
        else:
            fields(trial)
        return
    experiment, trials = line.experiment(id), line.trials(id)
    if json:
        say_json(experiment | {"trial_rows": trials})
        return
    shown = ("experiment_id", "name", "workspace", "project", "state", "reason", "closing",
             "trials", "max_trials", "max_concurrent_trials", "best", "slot_seconds")  # fmt: skip
    failed = {"sampler failed": why} if (why := experiment.get("sampler_failure")) else {}
    fields({name: experiment.get(name) for name in shown} | failed)
    say("")
    _trials(experiment, trials, wide=output == "wide")
    if experiment.get("front"):
        say("")
        _front(experiment)


def logs(
    id: AnyId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    trial: Trial = None,
    json: Json = False,
) -> None:
    """Print what the processes of an experiment or trial wrote."""
    line = client()
    experiment, one = parts(id)
    trial = one or trial
    after = 0
    while True:
        ended = not follow or _ended(line, experiment, trial)
        for piece in line.logs(experiment, trial=trial, after=after):
            after = piece["id"]
            if json:
                say_json(piece)
                continue
            for words in piece["lines"]:
                say(f"{piece['trial_id']}[{piece['rank']}] {words}")
        if ended:
            return
        time.sleep(0.5)


def nodes(
    all: Annotated[bool, typer.Option("--all", help="Those that are gone, too.")] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """List the machines that have slots."""
    found = [n for n in client().nodes() if all or n["state"] != "removed"]
    if as_json(json, output):
        say_json(found)
        return
    rows = [
        [
            n["node_id"],
            n["pool"],
            n["state"],
            f"{n['used']}/{len(n['slots'])}",
            sorted({s["model"] for s in n["slots"]}),
            n["trials"],
        ]
        for n in found
    ]
    table(
        ["NODE", "POOL", "STATE", "USED", "MODELS", "TRIALS"],
        rows,
        "No node at the moment.",
        wide=output == "wide",
    )


def _trials(experiment: Row, trials: list[Row], *, wide: bool = False) -> None:
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
            (t["best"] or {}).get("metric"),
            t["node_ids"],
            t["hyperparameters"],
        ]
        for t in trials
    ]
    columns = ["TRIAL", "STATE", "ORIGIN", *(["BRACKET"] if brackets else []), "RUNG", "TIME"]
    columns += ["METRIC", *objectives, "BEST", "NODES", "HYPERPARAMETERS"]
    if wide:
        names = ("slots", "slot_seconds", "restarts", "losses", "preemptions", "reason")
        rows = [[*row, *(t[name] for name in names)] for row, t in zip(rows, trials, strict=True)]
        columns += [name.replace("_", "-").upper() for name in names]
    table(columns, rows, "No trial yet.", wide=wide)


def _front(experiment: Row) -> None:
    """The results that no other beats in all objectives."""
    names = [experiment["config"]["searcher"]["metric"], *_objectives(experiment)]
    rows = [
        [f["trial_id"], f["step"], *(f["metrics"].get(n) for n in names), f["hyperparameters"]]
        for f in experiment["front"]
    ]
    table(["FRONT", "STEP", *names, "HYPERPARAMETERS"], rows, "")


def _objectives(experiment: Row) -> list[str]:
    """The metrics that an experiment optimises beside its first."""
    return [o["metric"] for o in experiment["config"]["searcher"].get("objectives", ())]


def _best(experiment: Row) -> Any:
    """The best result; where several objectives leave several, how many they are."""
    if front := experiment.get("front"):
        return f"front of {len(front)}"
    return (experiment["best"] or {}).get("metric")


def _origin(trial: Row) -> str | None:
    """What proposed a trial, and the one that it goes on from."""
    origin, parent = trial.get("origin"), trial.get("parent")
    return f"{origin} from {parent}" if parent else origin


def _ended(line: Client, experiment: str, trial: str | None) -> bool:
    if trial is not None and line.trial(trial)["ended_at"] is not None:
        return True
    return str(line.experiment(experiment)["state"]) in TERMINAL


def _more(experiment: Row, column: str) -> Any:
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
