"""The demo's view: a fold of events that a person can trust, and the report made of it."""

from typing import Any

from shoal_contract.config import Resources
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    BestTrial,
    Checkpoint,
    CheckpointSaved,
    Event,
    ExperimentSubmitted,
    Placement,
    Rendezvous,
    SearchCompleted,
    Task,
    TrialCompleted,
    TrialCreated,
    TrialMeasured,
    TrialPaused,
    TrialRequested,
)
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome
from shoal_local import report
from shoal_local.view import View, apply

CONFIG = parse_experiment(
    {
        "name": "cells",
        "entrypoint": "python t.py",
        "searcher": {"name": "random", "metric": "acc", "smaller_is_better": False,
                     "max_time": 10, "max_trials": 2},
    }
)  # fmt: skip


def task(trial: str, attempt: int) -> Task:
    return Task(
        experiment_id="e", trial_id=trial, attempt=attempt, entrypoint=["x"], bundle=None,
        hyperparameters={}, seed=0, environment={}, metric="acc", smaller_is_better=False,
        time_metric="step", target=10, storage_url="file:///s", checkpoint=None,
    )  # fmt: skip


def attempt(trial: str, number: int, outcome: Outcome, seconds: float) -> list[Event]:
    ids: dict[str, Any] = {
        "experiment_id": "e", "trial_id": trial, "allocation_id": f"{trial}-a{number}",
    }  # fmt: skip
    return [
        TrialRequested(experiment_id="e", trial_id=trial, attempt=number,
                       task=task(trial, number), resources=Resources()),
        AllocationQueued(**ids, task=task(trial, number), resources=Resources()),
        AllocationGranted(**ids, attempt=number, at=0, rendezvous=Rendezvous(host="h", port=1),
                          placements=[Placement(node_id="n1", incarnation="i", slots=[0])]),
        CheckpointSaved(**ids, checkpoint=Checkpoint(url="file:///c", step=3, attempt=number)),
        AllocationEnded(**ids, attempt=number, outcome=outcome, reason="", slots=1,
                        seconds=seconds),
    ]  # fmt: skip


def history() -> list[Event]:
    events: list[Event] = [
        ExperimentSubmitted(experiment_id="e", config=CONFIG, storage_url="file:///s"),
    ]
    for number in range(2):
        events.append(TrialCreated(experiment_id="e", trial_id=f"e-{number}", number=number,
                                   hyperparameters={"lr": 0.1 * number}, seed=1))  # fmt: skip
    events += attempt("e-0", 1, Outcome.PREEMPTED, 4.0)
    events += attempt("e-0", 2, Outcome.STOPPED, 6.0)
    events += attempt("e-1", 1, Outcome.STOPPED, 2.0)
    for trial, time, metric in (("e-0", 5, 0.5), ("e-0", 10, 0.9), ("e-1", 2, None)):
        events.append(TrialMeasured(experiment_id="e", trial_id=trial, step=time, time=time,
                                    metric=metric))  # fmt: skip
    best = BestTrial(trial_id="e-0", metric=0.9, step=10, hyperparameters={}, checkpoint=None)
    return [
        *events,
        TrialCompleted(experiment_id="e", trial_id="e-0", reason="trained in full"),
        TrialPaused(experiment_id="e", trial_id="e-1", reason="below the cut"),
        SearchCompleted(experiment_id="e", reason="done", best=best, trials=2),
    ]


def folded() -> View:
    view = View()
    for event in history():
        apply(view, event)
    return view


def test_the_view_counts_what_happened() -> None:
    view = folded()
    first, second = view.trials["e-0"], view.trials["e-1"]
    assert (first.state, first.attempts, first.preemptions, first.nodes) == ("completed", 2, 1, ())
    assert (first.slot_seconds, first.checkpoint_step) == (10.0, 3)
    assert first.curve == [(5, 0.5), (10, 0.9)]
    assert (second.state, second.metric, second.curve) == ("paused", None, [])
    assert view.over
    assert any("e-0 was preempted" in note for note in view.notes)
    assert any("e-0 goes on at n1 from step 3" in note for note in view.notes)


def test_the_cost_compares_with_training_all_in_full() -> None:
    view = folded()
    spent = report.cost(view, view.experiments["e"])
    assert (spent.units, spent.full_units) == (12, 20)
    assert spent.slot_seconds == 12.0
    assert spent.full_slot_seconds == 20.0


def test_the_report_opens_and_shows_the_best(tmp_path: Any) -> None:
    file = report.write(folded(), tmp_path, state_dir=tmp_path, seconds=12)
    text = file.read_text()
    assert "0.9000" in text
    assert "e-0 was preempted" in text
    assert text.count("<tr>") == 3
    assert (tmp_path / "curves-0.png").read_bytes().startswith(b"\x89PNG")
