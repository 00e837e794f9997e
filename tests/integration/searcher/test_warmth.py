"""What an experiment starts from is read from the journal, where earlier ones stay."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from integration.searcher.helpers import becomes, report, save, say, submit
from unit.searcher.pool import config

from shoal_contract.events import TrialCreateRequested
from shoal_searcher.__main__ import main
from shoal_searcher.settings import Settings


@pytest_asyncio.fixture
async def one(nats_url: str, bus: Any) -> AsyncIterator[Any]:
    """A bus beside a searcher that has an earlier experiment, y, with two trials."""
    service = asyncio.create_task(main(Settings(nats_url=nats_url, replica="s0")))
    found = await bus("gateway")
    await submit(found, "y", config("random", max_trials=2))
    await becomes(found, "trial.requested", lambda e: len(e) == 2, "y")
    await report(found, "y-0", 32, 5.0)  # before the end: not a result that can be compared
    await save(found, "y-0", 40)
    await save(found, "y-0", 60)
    await report(found, "y-0", 64, 2.0)
    await report(found, "y-1", 64, float("nan"))
    await becomes(found, "trial.completed", lambda e: len(e) == 2, "y")
    await becomes(found, "trial.checkpointed", lambda e: len(e) == 2, "y")
    yield found
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)


async def test_earlier_results_and_a_checkpoint_are_found(one: Any) -> None:
    await submit(one, "e", config("random", max_trials=2, warm_start=["y"], source_trial_id="y-0",
                                  sampler="tpe"))  # fmt: skip
    warmed = (await becomes(one, "search.warmed", len, "e"))[0]
    created = (await becomes(one, "trial.created", len, "y"))[0]
    assert [(r.hyperparameters, r.time, r.metric) for r in warmed.results] == [
        (created.hyperparameters, 64, 2.0)
    ]
    assert (warmed.checkpoint.url, warmed.checkpoint.step) == ("file:///s/y-0/60", 60)
    requested = await becomes(one, "trial.requested", lambda found: len(found) == 2, "e")
    for event in requested:
        assert (event.task.checkpoint, event.task.inherits) == (warmed.checkpoint, "weights")


async def test_a_sampler_proposes_from_earlier_results_alone(one: Any) -> None:
    await submit(one, "e", config("random", max_trials=2, warm_start=["y"],
                                  sampler={"name": "tpe", "startup_trials": 1}))  # fmt: skip
    created = await becomes(one, "trial.created", lambda found: len(found) == 2, "e")
    assert [e.origin for e in created] == ["tpe", "tpe"]


async def test_earlier_results_are_read_in_every_objective(one: Any) -> None:
    both = {"objectives": [{"metric": "size"}]}
    await submit(one, "z", config("random", max_trials=2, **both))
    await becomes(one, "trial.requested", lambda e: len(e) == 2, "z")
    await report(one, "z-0", 64, 3.0, size=7.0)
    await report(one, "z-1", 64, 2.0)  # without a size
    await becomes(one, "trial.completed", lambda e: len(e) == 2, "z")
    other = {"metric": "size", "objectives": [{"metric": "loss"}], "warm_start": ["z"]}
    await submit(one, "e", config("random", max_trials=2, sampler="nsgaii", **other))
    warmed = (await becomes(one, "search.warmed", len, "e"))[0]
    assert [(r.metric, r.objectives) for r in warmed.results] == [(7.0, [3.0])]
    created = await becomes(one, "trial.created", lambda found: len(found) == 2, "e")
    assert [e.origin for e in created] == ["nsgaii", "nsgaii"]


async def test_a_custom_search_starts_from_a_trial_too(one: Any) -> None:
    await submit(one, "e", config("custom", source_trial_id="y-0"))
    await becomes(one, "search.accepted", len, "e")
    await say(one, TrialCreateRequested(experiment_id="e", request_id="r", hyperparameters={}))
    requested = await becomes(one, "trial.requested", len, "e")
    assert requested[0].task.inherits == "weights"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warm_start": ["nobody"]}, "there is no experiment nobody with the metric loss"),
        ({"warm_start": ["y"], "metric": "size"}, "there is no experiment y with the metric size"),
        ({"warm_start": ["y"], "objectives": [{"metric": "size"}]},
         "there is no experiment y with the metrics loss, size"),
        ({"warm_start": ["y", "z"]}, "there is no experiment z"),
        ({"source_trial_id": "nobody-0"}, "trial nobody-0 has no checkpoint"),
        ({"source_trial_id": "y-1"}, "trial y-1 has no checkpoint"),
        ({"source_trial_id": "y-0-9"}, "trial y-0-9 has no checkpoint"),
        ({"source_trial_id": "word"}, "trial word has no checkpoint"),
    ],
)  # fmt: skip
async def test_what_is_unknown_fails_the_experiment_with_a_sentence(
    one: Any, changes: dict[str, Any], said: str
) -> None:
    await submit(one, "e", config("random", max_trials=2, **changes))
    failed = (await becomes(one, "search.failed", len, "e"))[0]
    assert said in failed.reason
    assert failed.trials == 0
    await submit(one, "f", config("random", max_trials=1))  # and the searcher goes on
    await becomes(one, "trial.requested", len, "f")
