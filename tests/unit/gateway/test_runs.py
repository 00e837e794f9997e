"""Runs and searches, as readers get them."""

import random
from collections import Counter
from typing import Any

import pytest

from shoal_contract.config import Resources
from shoal_contract.events import (
    AllocationEnded,
    AllocationReleasing,
    Event,
    RunExited,
    TrialMeasured,
    TrialRequested,
)
from shoal_contract.events.trial import Checkpoint
from shoal_contract.states import Outcome, StopReason
from shoal_gateway.core import keys
from shoal_gateway.core.runs import runs
from shoal_gateway.core.search import search

from ..searcher.pool import Pool, config
from .test_projections import CREATED, ENDED, GRANTED, IDS, SUBMITTED, TASK, Model

ASKED = TrialRequested(**IDS, attempt=1, task=TASK, resources=Resources())
RELEASING = AllocationReleasing(
    experiment_id="e", allocation_id="e-0-a1", reason=StopReason.PREEMPTED
)


def exited(rank: int, **more: Any) -> RunExited:
    fields: dict[str, Any] = {"outcome": Outcome.PREEMPTED, "reason": "told to leave"} | more
    return RunExited(
        **IDS, allocation_id="e-0-a1", run_id=f"e-0-a1-r{rank}", node_id=f"n{rank + 1}", **fields
    )


def runs_after(*events: Event) -> list[dict[str, Any]]:
    return runs("e-0", Model(*events).rows.get(keys.runs("e-0"), {}))


def test_a_run_tells_what_it_got_and_what_ended_it() -> None:
    told = [CREATED, ASKED, GRANTED, RELEASING, exited(1), exited(0, exit_code=-15), ENDED]
    states = [runs_after(*told[:n])[0]["state"] for n in (2, 3, 4, 6, 7)]
    assert states == ["waiting", "running", "leaving", "leaving", "ended"]
    (run,) = runs_after(*told)
    exits = run.pop("exits")
    assert run == {
        "trial_id": "e-0", "attempt": 1, "state": "ended", "asked_for": None, "target": 4,
        "from_step": None, "requested_at": 1.0, "granted_at": 5.0, "ended_at": 6.0, "slots": 3,
        "node_ids": ["n1", "n2"], "price": 0, "told_to_leave": "preempted",
        "outcome": "preempted", "reason": "spot", "slot_seconds": 7.5, "last_time": None,
    }  # fmt: skip
    assert [(one["node_id"], one["exit_code"], one["at"]) for one in exits] == [
        ("n1", -15, 5.0), ("n2", None, 4.0),
    ]  # fmt: skip


def test_each_attempt_is_a_run() -> None:
    checkpoint = Checkpoint(url="file:///c", step=20, attempt=1)
    task = TASK.model_copy(update={"attempt": 2, "checkpoint": checkpoint})
    again = TrialRequested(
        **IDS, attempt=2, task=task, resources=Resources(), reason="it was preempted"
    )
    never = AllocationEnded(
        **IDS, allocation_id="e-0-a2", attempt=2, outcome=Outcome.STOPPED, reason="cancelled",
        slots=0, seconds=0.0,
    )  # fmt: skip
    first, second = runs_after(CREATED, ASKED, GRANTED, ENDED, again, never)
    assert (first["attempt"], first["outcome"]) == (1, "preempted")
    assert (second["from_step"], second["asked_for"]) == (20, "it was preempted")
    assert (second["granted_at"], second["slot_seconds"], second["outcome"]) == (None, 0, "stopped")
    assert runs_after(CREATED) == []


SEARCHES: list[tuple[str, dict[str, Any]]] = [
    ("single", {}),
    ("random", {"max_trials": 5}),
    ("async_halving", {"max_trials": 30}),
    ("async_halving", {"max_trials": 30, "stop_once": True}),
    ("adaptive_asha", {"max_trials": 30, "mode": "conservative"}),
    ("hyperband", {"max_time": 16}),
    ("pbt", {"population_size": 6, "rounds": 4}),
]


@pytest.mark.parametrize(("name", "fields"), SEARCHES)
@pytest.mark.parametrize("ended", [False, True])
def test_a_search_stands_as_its_searcher_knows(
    name: str, fields: dict[str, Any], ended: bool
) -> None:
    """The read model's rungs and units are the searcher's own, half way and at the end."""
    asked = config(name, **fields)
    whole = Pool(asked)
    whole.train(lambda n, time: random.Random(100 * n + time).random(), saves=True)
    half = len(whole.events) if ended else len(whole.events) // 2
    if ended:
        half = next(i for i, e in enumerate(whole.events) if e.type == "search.completed")
    seen = whole.events[:half]
    known = whole.decider.initial()
    for event in seen:
        known = whole.decider.evolve(known, event)
    mine = known.experiments["e"]

    model = Model(SUBMITTED.model_copy(update={"config": asked}), *seen)
    names = list(model.index[keys.trials("e")])
    rows = [model.rows[keys.trial(trial)] for trial in names]
    found = search(model.rows[keys.experiment("e")], rows)

    assert (found["method"], found["trials"]) == (name, len(mine.trials))
    assert found["units"] == mine.units >= int(ended)
    assert found["expected_units"] is not None
    for number, bracket in enumerate(found["brackets"]):
        its = [trial for trial in mine.trials.values() if trial.bracket == number]
        assert bracket["trials"] == Counter(trial.state.value for trial in its)
        for rung, told in enumerate(bracket["rungs"]):
            theirs = mine.rung(number, rung)
            assert told["results"] == len(theirs.costs)
            if theirs.costs:
                best = min(cost[0] for cost in theirs.costs.values())
                assert told["best"]["metric"] == best
            waiting = [t for t in its if t.state == "paused" and t.rung == rung]
            assert told["paused"] == len(waiting)


def test_a_search_without_numbers_has_no_best() -> None:
    asked = config("async_halving", max_trials=4)
    nan = TrialMeasured(**IDS, step=1, time=1, metric=None, rung=0)
    pool = Pool(asked)
    model = Model(SUBMITTED.model_copy(update={"config": asked}), *pool.events, nan)
    rows = [model.rows[keys.trial("e-0")]]
    first = search(model.rows[keys.experiment("e")], rows)["brackets"][0]["rungs"][0]
    assert (first["results"], first["best"]) == (1, None)


def test_a_search_of_an_earlier_version_has_no_rungs() -> None:
    model = Model(SUBMITTED, CREATED)
    found = search(model.rows[keys.experiment("e")], [model.rows[keys.trial("e-0")]])
    (bracket,) = found["brackets"]
    assert (bracket["trials"], bracket["rungs"], found["expected_units"]) == (
        {"created": 1},
        [],
        None,
    )
