"""What people and programs ask of searches and trials, and how a trial is explained."""

import json
from typing import Any

import pytest

from shoal_bus.history import read_all
from shoal_contract.events import (
    Event,
    ExperimentChangeRequested,
    ExperimentFinishRequested,
    SearchChanged,
    SearchCompleted,
    TrialCancelled,
    TrialCreated,
    TrialCreateRequested,
    TrialExtendRequested,
    TrialMeasured,
    TrialPaused,
    TrialStarted,
    TrialStopped,
    TrialStopRequested,
)
from shoal_contract.subjects import EXPERIMENTS

from .conftest import CONFIG, Gateway
from .test_gateway import PROBLEM, publish, trial_events

CUSTOM: dict[str, Any] = {"name": "custom", "metric": "loss", "max_time": 10}

JSON = {"Content-Type": "application/json"}


async def asked(gateway: Gateway) -> list[Event]:
    """The requests in the stream, without the submissions."""
    found = await read_all(gateway.bus, EXPERIMENTS, ["shoal.v1.experiment.>"])
    return [e.event for e in found if e.event.type != "experiment.submitted"]


async def refused(gateway: Gateway, method: str, path: str, status: int, **body: Any) -> str:
    """The detail of the problem that a request is answered with."""
    response = await gateway.http.request(method, f"/v1/experiments/{path}", json=body)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    return str(response.json()["detail"])


async def accepted(gateway: Gateway, method: str, path: str, **body: Any) -> Any:
    response = await gateway.http.request(method, f"/v1/experiments/{path}", json=body)
    assert response.status_code == 202, response.text
    return response.json()


async def with_trial(gateway: Gateway, e: str) -> str:
    await publish(gateway, *trial_events(e))
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["time"] == 4)
    return f"{e}-0"


async def end(gateway: Gateway, e: str) -> None:
    await publish(gateway, SearchCompleted(experiment_id=e, reason="done"))
    await gateway.until(f"/v1/experiments/{e}", lambda x: x["state"] == "completed")


async def test_a_running_search_is_changed(gateway: Gateway) -> None:
    e = await gateway.submit()
    found = await accepted(gateway, "PATCH", e, max_trials=9, max_concurrent_trials=0)
    assert found == {
        "experiment_id": e, "requested": "change", "max_trials": 9, "max_concurrent_trials": 0,
    }  # fmt: skip
    await accepted(gateway, "PATCH", e, max_trials=10)
    assert await asked(gateway) == [
        ExperimentChangeRequested(experiment_id=e, max_trials=9, max_concurrent_trials=0),
        ExperimentChangeRequested(experiment_id=e, max_trials=10),
    ]
    assert (await gateway.get(f"/v1/experiments/{e}"))["max_trials"] == 4
    await publish(gateway, SearchChanged(experiment_id=e, max_trials=10))
    row = await gateway.until(f"/v1/experiments/{e}", lambda x: x["max_trials"] == 10)
    assert row["max_concurrent_trials"] == 16


async def test_a_change_that_cannot_be_is_refused(gateway: Gateway) -> None:
    e = await gateway.submit()
    assert "nothing to change" in await refused(gateway, "PATCH", e, 422)
    await refused(gateway, "PATCH", e, 422, max_trials=0)
    await refused(gateway, "PATCH", e, 422, max_trails=3)
    await refused(gateway, "PATCH", "nope22", 404, max_trials=3)
    single = await gateway.submit(searcher=CUSTOM | {"name": "single"})
    detail = await refused(gateway, "PATCH", single, 409, max_trials=3)
    assert "single has no max_trials" in detail
    grid = await gateway.submit(hyperparameters={"a": 1}, searcher=CUSTOM | {"name": "grid"})
    await refused(gateway, "PATCH", grid, 409, max_trials=3)
    await accepted(gateway, "PATCH", grid, max_concurrent_trials=3)
    await end(gateway, e)
    assert "has ended" in await refused(gateway, "PATCH", e, 409, max_trials=9)
    assert len(await asked(gateway)) == 1


async def test_a_program_creates_trials(gateway: Gateway) -> None:
    e = await gateway.submit(searcher=CUSTOM)
    one = {"hyperparameters": {"lr": 0.1, "deep": {"x": [1]}}, "target": 2, "request_id": "r-1"}
    for _ in range(2):
        assert (await accepted(gateway, "POST", f"{e}/trials", **one))["request_id"] == "r-1"
    other = await accepted(gateway, "POST", f"{e}/trials", hyperparameters={})
    first, second = await asked(gateway)
    assert first == TrialCreateRequested(experiment_id=e, **one)
    assert isinstance(second, TrialCreateRequested)
    assert (second.request_id, second.target) == (other["request_id"], None)

    await refused(gateway, "POST", f"{e}/trials", 422, hyperparameters={}, target=0)
    await refused(gateway, "POST", f"{e}/trials", 422, hyperparameters={}, request_id="a.b")
    await refused(gateway, "POST", f"{e}/trials", 422)
    response = await gateway.http.post(
        f"/v1/experiments/{e}/trials", content=b'{"hyperparameters": {"lr": NaN}}', headers=JSON
    )
    assert response.status_code == 422
    assert "finite" in response.json()["detail"]
    await refused(gateway, "POST", "nope22/trials", 404, hyperparameters={})
    sampled = await gateway.submit()
    detail = await refused(gateway, "POST", f"{sampled}/trials", 409, hyperparameters={})
    assert "its searcher is random" in detail
    await end(gateway, e)
    await refused(gateway, "POST", f"{e}/trials", 409, hyperparameters={})
    assert len(await asked(gateway)) == 2


async def test_a_program_extends_and_stops_trials_and_finishes(gateway: Gateway) -> None:
    e = await gateway.submit(searcher=CUSTOM)
    t = await with_trial(gateway, e)
    await refused(gateway, "POST", f"{e}/trials/{t}/extend", 422)
    detail = await refused(gateway, "POST", f"{e}/trials/{t}/extend", 409, target=9)
    assert "up to 10 already" in detail
    await accepted(gateway, "POST", f"{e}/trials/{t}/extend", target=10)
    await refused(gateway, "POST", f"{e}/trials/{e}-7/extend", 404, target=8)
    await refused(gateway, "POST", f"{e}/trials/{e}-7/stop", 404)
    await accepted(gateway, "POST", f"{e}/trials/{t}/extend", target=12)
    await accepted(gateway, "POST", f"{e}/trials/{t}/stop")
    await accepted(gateway, "POST", f"{e}/finish")
    ids = {"experiment_id": e, "trial_id": t}
    assert await asked(gateway) == [
        TrialExtendRequested(**ids, target=10),
        TrialExtendRequested(**ids, target=12),
        TrialStopRequested(**ids),
        ExperimentFinishRequested(experiment_id=e),
    ]
    await publish(gateway, TrialStopped(**ids, reason="its program stopped it"))
    await gateway.until(f"/v1/experiments/{e}/trials/{t}", lambda x: x["state"] == "stopped")
    assert "has ended" in await refused(gateway, "POST", f"{e}/trials/{t}/stop", 409)
    await refused(gateway, "POST", f"{e}/trials/{t}/extend", 409, target=9)
    await end(gateway, e)
    await refused(gateway, "POST", f"{e}/finish", 409)


async def test_a_person_stops_a_trial_of_any_search(gateway: Gateway) -> None:
    e = await gateway.submit()
    t = await with_trial(gateway, e)
    assert (await accepted(gateway, "POST", f"{e}/trials/{t}/stop"))["state"] == "wanted"
    assert await asked(gateway) == [TrialStopRequested(experiment_id=e, trial_id=t)]
    assert "not custom" in await refused(gateway, "POST", f"{e}/trials/{t}/extend", 409, target=8)
    assert "not custom" in await refused(gateway, "POST", f"{e}/finish", 409)


async def test_a_person_kills_a_trial(gateway: Gateway) -> None:
    e = await gateway.submit()
    t = await with_trial(gateway, e)
    told = await accepted(gateway, "POST", f"{e}/trials/{t}/kill")
    assert told == {"trial_id": t, "requested": "kill", "state": "wanted"}
    assert await asked(gateway) == [TrialStopRequested(experiment_id=e, trial_id=t, at_once=True)]
    await refused(gateway, "POST", f"{e}/trials/{e}-7/kill", 404)
    await publish(gateway, TrialCancelled(experiment_id=e, trial_id=t, reason="", at_once=True))
    await gateway.until(f"/v1/experiments/{e}/trials/{t}", lambda x: x["state"] == "cancelled")
    assert "has ended" in await refused(gateway, "POST", f"{e}/trials/{t}/kill", 409)


async def test_a_trial_is_explained(gateway: Gateway) -> None:
    halving = {
        "name": "async_halving", "metric": "loss", "max_time": 16, "max_trials": 16, "divisor": 4,
    }  # fmt: skip
    e = await gateway.submit(searcher=halving)
    t = await with_trial(gateway, e)
    ids: dict[str, Any] = {"experiment_id": e, "trial_id": t}
    other = TrialCreated(
        experiment_id=e, trial_id=f"{e}-1", number=1, hyperparameters={}, seed=1, origin="tpe"
    )
    await publish(gateway, other, TrialStarted(**ids, attempt=1, slots=2, at=1.0))
    path = f"/v1/experiments/{e}/trials/{t}/explain"
    found = await gateway.get(path)
    assert [x["event"] for x in found["events"]] == [
        "trial.created", "trial.requested", "allocation.granted", "trial.measured",
        "trial.measured", "trial.started",
    ]  # fmt: skip
    assert found["events"][2]["text"] == "attempt 1 is placed on n1 (2 slots)"
    assert [x["at"] for x in found["events"]] == sorted(x["at"] for x in found["events"])
    assert found["now"].startswith(f"Trial {t} trains up to 10 in attempt 1 since 1970-01-01")

    await publish(
        gateway,
        TrialPaused(**ids, reason="rank 1 of 1 in rung 1 (at 4), of which the best 0 go on"),
        TrialMeasured(experiment_id=e, trial_id=f"{e}-1", step=4, time=4, metric=0.1, rung=1),
    )
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-1", lambda x: x["rung"] == 1)
    found = await gateway.get(path)
    assert found["now"].endswith(
        ": rank 1 of 1 in rung 1 (at 4), of which the best 0 go on; now it is rank 2 of 2 in"
        " rung 1, of which the best 0 go on."
    )
    await refused(gateway, "GET", f"{e}/trials/{e}-7/explain", 404)
    await refused(gateway, "GET", f"nope22/trials/{t}/explain", 404)


@pytest.mark.parametrize("key", [None, "k"])
async def test_what_a_search_starts_from_must_be_there(gateway: Gateway, key: str | None) -> None:
    e = await gateway.submit()
    t = await with_trial(gateway, e)
    random = CONFIG["searcher"] | {"sampler": "tpe"}
    sources = {"warm_start": [e, "nope22"], "source_trial_id": f"{e}-9"}
    headers = {"Idempotency-Key": key} if key else {}
    body = {"config": CONFIG | {"searcher": random | sources}}
    response = await gateway.http.post("/v1/experiments", json=body, headers=headers)
    assert response.status_code == 422
    assert [x["path"] for x in response.json()["errors"]] == [
        "searcher.warm_start.1", "searcher.source_trial_id",
    ]  # fmt: skip
    assert "'nope22'" in response.json()["detail"]
    await gateway.submit(searcher=random | {"warm_start": [e], "source_trial_id": t})


async def test_what_is_no_number_stops_no_projector(gateway: Gateway) -> None:
    body = json.dumps({"config": CONFIG | {"hyperparameters": {"lr": float("nan")}}})
    response = await gateway.http.post("/v1/experiments", content=body, headers=JSON)
    assert response.status_code == 201
    found = await gateway.get(response.headers["Location"])
    assert found["config"]["hyperparameters"] == {"lr": "NaN"}
