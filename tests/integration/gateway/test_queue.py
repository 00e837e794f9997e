"""The queue through the door: a real scheduler, whose line people change."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from unit.scheduler.desk import join, want

from shoal_contract.events import Event, QuotaChanged, RunExited, TrialCreated
from shoal_contract.ids import allocation_id, run_id
from shoal_contract.states import Outcome
from shoal_scheduler.__main__ import main
from shoal_scheduler.settings import Settings

from .conftest import Gateway, Shoal
from .test_gateway import PROBLEM, publish


@pytest.fixture
async def scheduler(nats_url: str, gateway: Gateway) -> AsyncIterator[None]:
    settings = Settings(nats_url=nats_url, replica="scheduler-t", node_timeout=60.0)
    service = asyncio.create_task(main(settings))
    yield
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)


def trial(e: str, number: int) -> list[Event]:
    name = f"{e}-{number}"
    created = TrialCreated(
        experiment_id=e, trial_id=name, number=number, hyperparameters={}, seed=1
    )
    return [created, want(name, 2, experiment=e)]


async def line(gateway: Gateway, *expected: str) -> None:
    def holds(found: dict[str, list[dict[str, str]]]) -> bool:
        return [row["trial_id"] for row in found["items"] if row["reason"]] == list(expected)

    await gateway.until("/v1/queue", holds)


async def test_people_see_the_line_and_change_it(gateway: Gateway, scheduler: None) -> None:
    e = await gateway.submit()
    await publish(gateway, join("n", 2), *trial(e, 0))
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["running"])
    await publish(gateway, *trial(e, 1), *trial(e, 2))
    await line(gateway, f"{e}-1", f"{e}-2")
    explained = await gateway.get(f"/v1/experiments/{e}/trials/{e}-1/explain")
    assert f"{e}-1 waits for 2 slots of pool default: 0 of 2 are free" in explained["now"]
    assert explained["now"].startswith(f"Trial {e}-1 waits for slots since ")

    base = f"/v1/experiments/{e}"
    moved = await gateway.http.post(f"{base}/trials/{e}-2/move", json={"ahead_of": f"{e}-1"})
    assert moved.status_code == 202, moved.text
    await line(gateway, f"{e}-2", f"{e}-1")
    held = await gateway.http.patch(f"{base}/share", json={"hold": True, "weight": 2.0})
    assert held.status_code == 202, held.text
    rows = await gateway.until("/v1/queue", lambda q: all(r["hold"] for r in q["items"]))
    assert rows["waiting"] == 2
    attempt = allocation_id(f"{e}-0", 1)
    gone = RunExited(
        experiment_id=e, trial_id=f"{e}-0", allocation_id=attempt, run_id=run_id(attempt, 0),
        node_id="n", incarnation="i1", outcome=Outcome.COMPLETED, reason="done",
    )  # fmt: skip
    await publish(gateway, gone)
    await gateway.until(f"{base}/trials/{e}-0", lambda t: not t["running"])
    await line(gateway, f"{e}-2", f"{e}-1")  # slots are free, and a person holds it
    assert (await gateway.http.patch(f"{base}/share", json={"hold": False})).status_code == 202
    await gateway.until(f"{base}/trials/{e}-2", lambda t: t["running"])
    await line(gateway, f"{e}-1")


async def test_what_cannot_be_asked_of_the_queue_is_refused(gateway: Gateway) -> None:
    e = await gateway.submit()
    base = f"/v1/experiments/{e}"
    await publish(gateway, TrialCreated(
        experiment_id=e, trial_id=f"{e}-0", number=0, hyperparameters={}, seed=1
    ))  # fmt: skip
    await gateway.until(f"{base}/trials/{e}-0", lambda t: t["state"] == "created")
    for path, body, status in (
        (f"{base}/share", {}, 422),
        (f"{base}/share", {"weight": 0}, 422),
        (f"{base}/share", {"priority": 100}, 422),
        ("/v1/experiments/none/share", {"hold": True}, 404),
    ):
        answer = await gateway.http.patch(path, json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    for trial_id, status in ((f"{e}-0", 409), (f"{e}-7", 404)):
        path = f"{base}/trials/{trial_id}/move"
        answer = await gateway.http.post(path, json={"ahead_of": f"{e}-1"})
        assert answer.status_code == status, answer.text
    assert (
        "waits for no slots"
        in (
            await gateway.http.post(f"{base}/trials/{e}-0/move", json={"ahead_of": f"{e}-1"})
        ).json()["detail"]
    )


async def test_a_workspace_tells_that_its_quota_is_used_up(gateway: Gateway, shoal: Shoal) -> None:
    path = "/v1/workspaces/default"
    assert (await gateway.get(path))["quota"] is None
    used = QuotaChanged(
        workspace="default", month="2026-11", used_up="50 slot-hours", slot_hours=50.1, money=3.5
    )
    await publish(gateway, used)
    found = (await gateway.until(path, lambda w: w["quota"]))["quota"]
    assert found.pop("at") > 0
    assert found == used.model_dump(exclude={"workspace"})
    assert "2026-11 is used up: 50 slot-hours" in (await shoal("workspace", "show", "default"))[1]
    await publish(gateway, used.model_copy(update={"month": "2026-12", "used_up": ""}))
    await gateway.until(path, lambda w: w["quota"]["month"] == "2026-12")
    assert "used up" not in (await shoal("workspace", "show", "default"))[1]
