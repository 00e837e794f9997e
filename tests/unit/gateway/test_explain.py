"""A trial's story, and the sentence on where it stands."""

from typing import Any

import pytest

from shoal_contract.config import Resources
from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    AllocationGranted,
    AllocationWaiting,
    Event,
    Placement,
    Rendezvous,
    Task,
    TrialCancelled,
    TrialCheckpointed,
    TrialCompleted,
    TrialCreated,
    TrialExtended,
    TrialFailed,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialReleased,
    TrialRequested,
    TrialStarted,
    TrialStopped,
)
from shoal_contract.events.trial import Checkpoint
from shoal_contract.states import Outcome
from shoal_gateway.core.standing import Place, place_now, standing
from shoal_gateway.core.story import answers_of, decisions_of, tell

IDS: dict[str, Any] = {"experiment_id": "e", "trial_id": "e-1"}
SEARCHER: dict[str, Any] = {
    "name": "async_halving", "metric": "loss", "smaller_is_better": True, "divisor": 3,
    "objectives": [],
}  # fmt: skip
EXPERIMENT: dict[str, Any] = {"config": {"searcher": SEARCHER}}


def request(attempt: int = 1, target: int = 4) -> TrialRequested:
    task = Task(
        **IDS, attempt=attempt, entrypoint=["x"], bundle=None, hyperparameters={}, seed=0,
        environment={}, metric="loss", smaller_is_better=True, time_metric="step", target=target,
        storage_url="file:///s", checkpoint=None,
    )  # fmt: skip
    resources = Resources(slots_per_trial=2)
    return TrialRequested(**IDS, attempt=attempt, task=task, resources=resources)


CREATED = TrialCreated(**IDS, number=1, hyperparameters={"lr": 0.123456789}, seed=1)
GRANTED = AllocationGranted(
    **IDS, allocation_id="e-1-a1", attempt=1, at=60.0, rendezvous=Rendezvous(host="h", port=1),
    placements=[Placement(node_id="n1", incarnation="i", slots=[0, 1])],
)  # fmt: skip
STARTED = TrialStarted(**IDS, attempt=1, slots=2, at=60.0)
MEASURED = TrialMeasured(**IDS, step=40, time=4, metric=0.5, rung=0)
PAUSED = TrialPaused(**IDS, reason="rank 2 of 2 in rung 0 (at 4), of which the best 0 go on")


def story(*events: Event) -> list[Envelope]:
    return [
        Envelope(id=str(n), source="s", time=60.0 * n, event=event)
        for n, event in enumerate(events)
    ]


def row(number: int, bracket: int = 0, **fields: Any) -> dict[str, Any]:
    return {"trial_id": f"e-{number}", "number": number, "bracket": bracket, **fields}


def now(*events: Event, experiment: dict[str, Any] = EXPERIMENT, trials: Any = ()) -> str:
    return standing("e-1", story(*events), experiment, trials)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((), "has no events yet"),
        ((CREATED,), "was proposed at 1970-01-01 00:00:00 UTC and is about to ask for slots"),
        ((CREATED, request()), "waits for slots since 1970-01-01 00:01:00 UTC for attempt 1"),
        ((CREATED, request(), STARTED), "trains up to 4 in attempt 1 since 1970-01-01 00:01:00"),
        ((CREATED, request(), GRANTED), "no result yet"),
        (
            (CREATED, request(), STARTED, MEASURED, TrialExtended(**IDS, target=16, reason="r")),
            "trains up to 16 in attempt 1 since 1970-01-01 00:01:00 UTC; its last result is at 4",
        ),
        (
            (
                CREATED, request(), STARTED,
                TrialInterrupted(**IDS, attempt=1, outcome=Outcome.PREEMPTED, reason="spot"),
            ),
            "was preempted at 1970-01-01 00:03:00 UTC (spot) and is about to start again",
        ),
        ((CREATED, request(), STARTED, request(2, 9)), "for attempt 2, which is to train up to 9"),
        ((CREATED, TrialStopped(**IDS, reason="rank 9 of 9")), "was stopped at 1970-01-01 00:01"),
        ((CREATED, TrialCancelled(**IDS, reason="asked")), "was cancelled at"),
        ((CREATED, TrialFailed(**IDS, reason="failed once")), "has failed at"),
        (
            (CREATED, TrialCompleted(**IDS, reason="in full"), TrialReleased(**IDS, attempt=1)),
            "has completed at 1970-01-01 00:01:00 UTC: in full.",
        ),
    ],
)  # fmt: skip
def test_the_sentence_follows_the_last_event(events: tuple[Event, ...], words: str) -> None:
    sentence = now(*events)
    assert sentence.startswith("Trial e-1 ")
    assert sentence.endswith(".")
    assert words in sentence


def test_a_paused_trial_is_told_its_rank_then_and_now() -> None:
    trials = [
        row(0, rung=0, rung_0=0.6),
        row(1, rung=0, rung_0=0.5),
        row(2, rung=2, rung_0=0.2, rung_2=0.1),
        row(3, rung=0, rung_0=None),
        row(4, bracket=1, rung=0, rung_0=0.0),
        row(5),
        row(6, rung=0, rung_0=0.9),
        row(7, rung=0, rung_0=0.5),
    ]
    sentence = now(CREATED, request(), MEASURED, PAUSED, trials=trials)
    assert "rank 2 of 2 in rung 0 (at 4), of which the best 0 go on; now it is rank 2 of 6" in (
        sentence
    )
    assert sentence.endswith("of which the best 2 go on, and it waits for a place.")
    trials.append(row(8, rung=0, rung_0=0.1))
    sentence = now(CREATED, request(), MEASURED, PAUSED, trials=trials)
    assert sentence.endswith("; now it is rank 3 of 7 in rung 0, of which the best 2 go on.")


def test_a_report_that_leapt_counts_for_each_rung_and_a_copy_for_none_of_its_parents() -> None:
    trials = [
        row(0, rung=3, rung_0=0.9, rung_3=0.2),  # leapt over the rungs 1 and 2
        row(1, rung=1, rung_0=0.5, rung_1=0.4),
        row(2, rung=1, passed=1),  # a copy of one that had passed rung 1
    ]
    assert place_now("e-1", EXPERIMENT, trials) == Place(rung=1, rank=2, results=2, keep=0)
    assert place_now("e-2", EXPERIMENT, trials) is None
    greater = {"config": {"searcher": SEARCHER | {"smaller_is_better": False}}}
    assert place_now("e-1", greater, trials) == Place(rung=1, rank=1, results=2, keep=0)
    exact = {"config": {"searcher": SEARCHER | {"divisor": 1.1}}}
    eleven = [row(n, rung=0, rung_0=float(n)) for n in range(11)]
    assert place_now("e-9", exact, eleven) == Place(rung=0, rank=10, results=11, keep=10)


@pytest.mark.parametrize("change", [{"name": "custom"}, {"objectives": [{"metric": "size"}]}])
def test_no_rank_is_claimed_where_none_decides(change: dict[str, Any]) -> None:
    experiment = {"config": {"searcher": SEARCHER | change}}
    trials = [row(1, rung=0, rung_0=0.5)]
    sentence = now(CREATED, request(), MEASURED, PAUSED, experiment=experiment, trials=trials)
    assert sentence.endswith("of which the best 0 go on.")


def test_why_a_paused_trial_does_not_go_on() -> None:
    trials = [row(1, rung=0, rung_0=0.5)]
    extended = TrialExtended(**IDS, target=8, reason="its program said so")
    sentence = now(CREATED, request(), PAUSED, extended, trials=trials)
    assert sentence.endswith("; it may train up to 8 and waits for a place.")
    closing = EXPERIMENT | {"closing": "its budget is spent"}
    sentence = now(CREATED, request(), PAUSED, experiment=closing, trials=trials)
    assert sentence.endswith("; it goes no further, since the search closes: its budget is spent.")
    held = TrialPaused(**IDS, reason="the experiment was paused", by_user=True)
    assert now(CREATED, request(), held, trials=trials).endswith(": the experiment was paused.")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (CREATED, "proposed (random): lr=0.12346"),
        (
            CREATED.model_copy(update={"hyperparameters": {"opt": {"name": "sgd"}}}),
            "proposed (random): opt=(name=sgd)",
        ),
        (
            CREATED.model_copy(update={"origin": "pbt", "parent": "e-0", "inherits": "training"}),
            "proposed (pbt): lr=0.12346; goes on from where e-0 was",
        ),
        (
            CREATED.model_copy(update={"parent": "d-0", "inherits": "weights"}),
            "proposed (random): lr=0.12346; starts with the weights of d-0",
        ),
        (request(), "attempt 1 asks for 2 slots, to train up to 4"),
        (GRANTED, "attempt 1 is placed on n1 (2 slots)"),
        (STARTED, "attempt 1 holds 2 slots"),
        (MEASURED, "at 4: loss 0.5, for rung 0"),
        (MEASURED.model_copy(update={"metric": None, "rung": None}), "at 4: loss no number"),
        (PAUSED, "paused: rank 2 of 2 in rung 0 (at 4), of which the best 0 go on"),
        (TrialExtended(**IDS, target=8), "may train up to 8"),
        (TrialReleased(**IDS, attempt=1), "attempt 1 gave its slots back"),
        (
            TrialInterrupted(**IDS, attempt=1, outcome=Outcome.LOST, reason="gone"),
            "attempt 1 was lost: gone",
        ),
        (
            TrialCheckpointed(**IDS, checkpoint=Checkpoint(url="file:///c", step=3, attempt=1)),
            "checkpoint at step 3",
        ),
        (TrialStopped(**IDS, reason="below the median"), "stopped: below the median"),
    ],
)
def test_an_event_in_words(event: Event, words: str) -> None:
    assert tell(event, SEARCHER) == words


def test_several_objectives_are_named() -> None:
    searcher = SEARCHER | {"objectives": [{"metric": "size"}]}
    event = MEASURED.model_copy(update={"objectives": [7.0]})
    assert tell(event, searcher) == "at 4: loss 0.5, size 7, for rung 0"


def test_a_trials_events_are_found_by_their_subjects() -> None:
    found = decisions_of("e", "e-1")
    assert "shoal.v1.trial.created.e.e-1" in found
    assert "shoal.v1.trial.started.e.e-1" in found
    assert all(s.startswith("shoal.v1.trial.") and s.endswith(".e.e-1") for s in found)
    answers = answers_of("e", "e-1", story(CREATED, request(), request(2)))
    assert answers == [
        f"shoal.v1.allocation.{verb}.e.e-1-a{n}" for n in (1, 2) for verb in ("waiting", "granted")
    ]


def test_what_waits_for_slots_says_why_in_the_schedulers_words() -> None:
    def waiting(attempt: int, reason: str) -> AllocationWaiting:
        return AllocationWaiting(**IDS, allocation_id=f"e-1-a{attempt}", why="room", reason=reason)

    waits = waiting(1, "e-1 waits for 2 slots of pool p: 1 of 4 are free, and it is first in line.")
    late = waiting(1, "of an attempt that is over")
    assert tell(waits, SEARCHER).startswith("waits for 2 slots of pool p: 1 of 4 are free")

    def now(*events: Event) -> str:
        return standing("e-1", story(CREATED, *events), EXPERIMENT, [])

    assert now(request(), waits).endswith(
        "to train up to 4. At 1970-01-01 00:02:00 UTC: e-1 waits for 2 slots of pool p: 1 of 4 are"
        " free, and it is first in line."
    )
    soon = waits.model_copy(update={"expected_at": 600.0})
    assert now(request(), soon).endswith("line. That should be at about 1970-01-01 00:10:00 UTC.")
    assert now(request(), waiting(1, "first"), waits).count("At ") == 1
    assert "free" not in now(request(), waits, GRANTED)
    assert "over" not in now(request(), request(2), late)
    assert "free" not in now(request(), waits, TrialCancelled(**IDS, reason="a person asked"))


def test_machines_that_are_starting_are_told() -> None:
    def now(*events: Event, starting: list[str]) -> str:
        return standing("e-1", story(CREATED, *events), EXPERIMENT, [], starting)

    pools = request().resources.pools
    assert now(request(), starting=["other"]) == now(request(), starting=[])
    two = now(request(), starting=[*pools, *pools, "other"])
    assert two.endswith(f" 2 machines are starting in pool {pools[0]}.")
    assert "starting" not in now(request(), GRANTED, starting=pools)
