"""Which checkpoints may go: never one that a trial may still need."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal_contract import events as ev
from shoal_contract.config import CheckpointStorage
from shoal_contract.parse import parse_experiment
from shoal_worker.core.keeping import Ledger


def ledger(best: int = 1, latest: int = 1, of_all: int = 0) -> Ledger:
    config = parse_experiment(
        {
            "name": "x", "entrypoint": "python x.py",
            "searcher": {
                "name": "single", "metric": "acc", "smaller_is_better": False, "max_time": 9,
            },
            "checkpoint_storage": {
                "save_experiment_best": of_all, "save_trial_best": best,
                "save_trial_latest": latest,
            },
        }
    )  # fmt: skip
    made = Ledger()
    made.note(ev.SearchAccepted(experiment_id="e", config=config, bundle=None, storage_url="s"))
    return made


def checkpoint(trial: str, step: int, attempt: int = 1) -> ev.Checkpoint:
    return ev.Checkpoint(url=f"{trial}/{attempt}/{step}", step=step, attempt=attempt)


def saved(trial: str, step: int, acc: float | None = None, known: bool = True) -> list[ev.Event]:
    ids = {"experiment_id": "e", "trial_id": trial}
    found: list[ev.Event] = [
        ev.CheckpointSaved(**ids, allocation_id="a", checkpoint=checkpoint(trial, step))
    ]
    if acc is not None:
        report = {"attempt": 1, "step": step, "time": step, "at": 0.0, "metrics": {"acc": acc}}
        found.append(ev.ValidationReported(**ids, allocation_id="a", **report))
    if known:
        found.append(ev.TrialCheckpointed(**ids, checkpoint=checkpoint(trial, step)))
    return found


def created(trial: str, source: ev.Checkpoint | None = None) -> ev.TrialCreated:
    return ev.TrialCreated(
        experiment_id="e", trial_id=trial, number=0, hyperparameters={}, seed=0, source=source,
        inherits="training" if source else "nothing",
    )  # fmt: skip


def over(best: ev.Checkpoint | None = None) -> ev.SearchCompleted:
    named = best and ev.BestTrial(
        trial_id="t", metric=1.0, step=1, hyperparameters={}, checkpoint=best
    )
    return ev.SearchCompleted(experiment_id="e", reason="done", best=named)


def told(made: Ledger, *events: Any) -> list[str]:
    for event in events:
        for one in event if isinstance(event, list) else [event]:
            made.note(one)
    return [c.url for _, c in made.garbage()]


def test_the_best_and_the_newest_stay() -> None:
    curve = {1: 0.5, 2: 0.9, 3: 0.7, 4: 0.8}
    events = [saved("t", step, acc) for step, acc in curve.items()]
    assert told(ledger(), *events) == ["t/1/3", "t/1/1"]
    assert told(ledger(best=2, latest=2), *events) == ["t/1/1"]
    assert told(ledger(best=0, latest=0), *events) == ["t/1/3", "t/1/2", "t/1/1"]
    assert told(ledger(best=0, latest=0), *events, over()) == [f"t/1/{n}" for n in (4, 3, 2, 1)]


def test_what_the_searcher_has_not_seen_superseded_stays() -> None:
    made = ledger(best=0)
    assert told(made, saved("t", 1), saved("t", 2, known=False)) == []
    assert told(made, saved("t", 3)) == ["t/1/2", "t/1/1"]


def test_a_trial_may_start_from_another_ones_old_checkpoint() -> None:
    made = ledger(best=0)
    events = [saved("t", 1), created("child", checkpoint("t", 1)), saved("t", 2)]
    assert told(made, *events) == []
    assert told(made, saved("child", 2)) == ["t/1/1"]  # it has its own now


def test_a_child_that_is_over_needs_no_source() -> None:
    made = ledger(best=0)
    told(made, saved("t", 1), created("child", checkpoint("t", 1)), saved("t", 2))
    stopped = ev.TrialStopped(experiment_id="e", trial_id="child", reason="x")
    assert told(made, stopped) == ["t/1/1"]


def test_the_best_of_the_experiment_are_chosen_when_it_is_over() -> None:
    made = ledger(best=0, latest=0, of_all=1)
    events = [saved("a", 1, 0.9), saved("a", 2, 0.1), saved("b", 1, 0.8), saved("b", 2, 0.2)]
    assert told(made, *events) == []
    assert told(made, over()) == ["a/1/2", "b/1/2", "b/1/1"]


def test_what_the_result_names_stays() -> None:
    made = ledger(best=0, latest=0)
    assert told(made, saved("t", 1), saved("t", 2), over(checkpoint("t", 1))) == ["t/1/2"]


def asked(trial: str, step: int, change: Any) -> ev.CheckpointChangeRequested:
    url = checkpoint(trial, step).url
    return ev.CheckpointChangeRequested(experiment_id="e", trial_id=trial, url=url, change=change)


def test_what_is_pinned_stays_until_it_is_not() -> None:
    made = ledger()
    curve = [saved("t", 1, 0.1), saved("t", 2, 0.9), saved("t", 3, 0.2)]
    assert told(made, *curve, asked("t", 1, "pin")) == []
    assert told(made, over(checkpoint("t", 2))) == []
    assert told(made, asked("t", 1, "unpin")) == ["t/1/1"]


def test_what_a_person_wants_removed_goes_as_soon_as_no_trial_needs_it() -> None:
    made = ledger()
    child = created("child", checkpoint("t", 1))
    events = [saved("t", 1, 0.9), child, saved("t", 2), asked("t", 1, "remove")]
    assert told(made, *events, asked("t", 2, "remove")) == []
    assert told(made, saved("child", 2)) == ["t/1/1"]
    assert told(made, over(checkpoint("t", 2))) == ["t/1/2", "t/1/1"]
    assert told(made, asked("t", 2, "pin")) == ["t/1/1"]


def test_what_is_gone_is_not_removed_again() -> None:
    made = ledger(best=0)
    gone = ev.CheckpointRemoved(experiment_id="e", trial_id="t", url=checkpoint("t", 1).url)
    assert told(made, saved("t", 1), saved("t", 2)) == ["t/1/1"]
    assert told(made, gone) == []


def test_an_unknown_experiment_loses_nothing() -> None:
    assert told(Ledger(), saved("t", 1), saved("t", 2), over()) == []


@pytest.mark.parametrize("value", [float("nan")])
def test_what_is_no_number_is_nobodys_best(value: float) -> None:
    made = ledger()
    assert told(made, saved("t", 1, value), saved("t", 2, 0.1), saved("t", 3, 0.0)) == ["t/1/1"]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 1)), max_size=30),
    st.builds(
        CheckpointStorage,
        save_trial_best=st.integers(0, 3),
        save_trial_latest=st.integers(0, 3),
        save_experiment_best=st.integers(0, 3),
    ),
)
def test_while_it_goes_on_the_known_one_and_newer_ones_never_go(
    history: list[tuple[str, bool, float]], keep: CheckpointStorage
) -> None:
    made = ledger()
    made.keep = keep
    known: dict[str, int] = {}
    for step, (trial, heard, acc) in enumerate(history):
        told(made, saved(trial, step, acc, known=heard))
        if heard:
            known[trial] = step
        for trial, gone in made.garbage():
            assert gone.step < known[trial]
            made.forget(gone.url)
