"""The client against a real gateway; the test takes the searcher's part."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from integration.gateway.conftest import Gateway, alone, gateway
from integration.gateway.test_gateway import publish, trial_events

from shoal.client import Client, ShoalError
from shoal_contract.events import SearchCompleted, TrialCreated

__all__ = ["alone", "gateway"]
CUSTOM = {
    "name": "custom",
    "entrypoint": "python x.py",
    "searcher": {"name": "custom", "metric": "loss", "max_time": 10},
}


async def test_a_program_drives_a_search(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        e = (await asyncio.to_thread(client.submit, CUSTOM))["experiment_id"]
        follow = client.events(
            experiment=e, types=("experiment.", "trial.", "search."), since="start"
        )
        events = asyncio.create_task(asyncio.to_thread(collect, follow))
        for _ in range(2):
            request = await asyncio.to_thread(client.create_trial, e, {"lr": 0.1}, 4, "r-1")
        assert request == "r-1"
        created = TrialCreated(
            experiment_id=e, trial_id=f"{e}-0", number=0, hyperparameters={"lr": 0.1}, seed=1,
            request_id=request, origin="program",
        )  # fmt: skip
        await publish(gateway, created, *trial_events(e)[2:6])
        await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["time"] == 2)
        await asyncio.to_thread(client.extend_trial, f"{e}-0", 12)
        await asyncio.to_thread(client.stop_trial, f"{e}-0")
        await asyncio.to_thread(client.change, e, max_concurrent_trials=2)
        await asyncio.to_thread(client.finish, e)
        with pytest.raises(ShoalError, match="has no max_trials") as error:
            await asyncio.to_thread(client.change, e, max_trials=2)
        assert error.value.status == 409
        story = await asyncio.to_thread(client.explain, f"{e}-0")
        assert story["events"][0]["text"] == "proposed (program): lr=0.1"
        assert story["now"].startswith(f"Trial {e}-0 trains up to 10")
        assert (await asyncio.to_thread(client.trial, f"{e}-0"))["request_id"] == "r-1"
        await publish(gateway, SearchCompleted(experiment_id=e, reason="finished"))
        told = await events
        assert [t for t in told if t.startswith("experiment.")] == [
            "experiment.submitted", "experiment.trial_create_requested",
            "experiment.trial_extend_requested", "experiment.trial_stop_requested",
            "experiment.change_requested", "experiment.finish_requested",
        ]  # fmt: skip


def collect(events: Iterator[dict[str, Any]]) -> list[str]:
    """The types of events up to the search's end."""
    found = []
    for event in events:
        found.append(event["type"])
        if event["type"] == "search.completed":
            break
    return found
