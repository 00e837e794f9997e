"""Lists, page by page, while what is listed changes."""

from typing import Any

from integration.gateway.test_gateway import publish, trial_events

from shoal import AsyncClient
from shoal_contract.events import (
    AllocationEnded,
    AllocationMoved,
    AllocationWaiting,
    Checkpoint,
    CheckpointSaved,
    Event,
    SearchCancelled,
    TrialMeasured,
    TrialStopped,
)
from shoal_contract.states import Outcome

from .conftest import Gateway, Shoal
from .test_access import PASSWORD

RED = "/v1/workspaces/red"


async def page(gateway: Gateway, path: str, cursor: str | None, **params: Any) -> Any:
    return await gateway.get(path, **params, **({} if cursor is None else {"cursor": cursor}))


async def walk(gateway: Gateway, path: str, **params: Any) -> list[Any]:
    """The items of a list, one by one."""
    found: list[Any] = []
    cursor = None
    while True:
        answer = await page(gateway, path, cursor, limit=1, **params)
        assert len(answer["items"]) <= 1, path
        found += answer["items"]
        if (cursor := answer["next"]) is None:
            return found


async def test_the_item_that_a_page_ended_with_may_leave_the_list(gateway: Gateway) -> None:
    for name in ("a", "b", "c"):
        await gateway.submit(name=name)
    for sort, last, others in (("name", "a", ["b", "c"]), ("-submitted", "c", ["b"])):
        params = {"state": "active", "sort": sort}
        first = await page(gateway, "/v1/experiments", None, limit=1, **params)
        [row] = first["items"]
        assert row["name"] == last
        path = f"/v1/experiments/{row['experiment_id']}"
        await publish(gateway, SearchCancelled(experiment_id=row["experiment_id"], reason="asked"))
        await gateway.until(path, lambda row: row["state"] == "cancelled")
        assert (await gateway.http.delete(path)).status_code == 202
        rest = await page(gateway, "/v1/experiments", first["next"], limit=2, **params)
        assert ([row["name"] for row in rest["items"]], rest["next"]) == (others, None)


async def test_a_row_that_moves_makes_no_other_come_twice_or_not_at_all(gateway: Gateway) -> None:
    ids = [await gateway.submit(name=f"e{n}") for n in range(5)]
    first = await page(gateway, "/v1/experiments", None, limit=2, sort="name")
    assert [row["name"] for row in first["items"]] == ["e0", "e1"]
    await gateway.http.patch(f"/v1/experiments/{ids[1]}", json={"name": "a"})  # the last one seen
    rest = await page(gateway, "/v1/experiments", first["next"], limit=9, sort="name")
    assert [row["name"] for row in rest["items"]] == ["e2", "e3", "e4"]
    wrong = await gateway.http.get(f"/v1/experiments?sort=-name&cursor={first['next']}")
    assert wrong.status_code == 422


async def test_every_list_has_pages(keyed: Gateway) -> None:
    gateway = keyed
    for name in ("ada", "bob"):
        await gateway.http.post("/v1/users", json={"user": name, "password": PASSWORD})
        await gateway.http.post("/v1/tokens", json={"name": name})
        await gateway.http.post("/v1/workspaces", json={"workspace": f"w-{name}"})
    await gateway.http.post("/v1/workspaces", json={"workspace": "red"})
    for name in ("a", "b", "c"):
        await gateway.http.post(f"{RED}/projects", json={"name": name})
        await gateway.http.post(f"{RED}/models", json={"name": name})
        await gateway.http.put(f"{RED}/templates/{name}", json={"max_restarts": 1})
        await gateway.http.put(f"{RED}/secrets/{name.upper()}", json={"value": "x"})
        hook = {"url": "https://93.184.215.14/x", "events": ["search."]}
        await gateway.http.post(f"{RED}/webhooks", json=hook)
    for path in (
        "/v1/users", "/v1/tokens", "/v1/workspaces", f"{RED}/projects", f"{RED}/models",
        f"{RED}/templates", f"{RED}/secrets", f"{RED}/webhooks",
    ):  # fmt: skip
        whole = await gateway.get(path)
        assert (len(whole["items"]) >= 3, whole["next"]) == (True, None), path
        assert await walk(gateway, path) == whole["items"], path
        assert (await gateway.http.get(f"{path}?cursor=x")).status_code == 422
        assert (await gateway.http.get(f"{path}?limit=0")).status_code == 422
    audit = await gateway.get("/v1/audit")
    assert await walk(gateway, "/v1/audit") == audit["items"]


async def test_the_queue_has_pages_that_outlive_its_changes(gateway: Gateway, shoal: Shoal) -> None:
    e = await gateway.submit()
    for n in range(5):
        name = {"trial_id": f"{e}-{n}", "allocation_id": f"{e}-{n}-a1"}
        queued = trial_events(e)[3].model_copy(update=name)
        waiting = AllocationWaiting(
            **name, experiment_id=e, why="room", reason="No slot is free.", number=float(n),
            since=1.0 + n,
        )  # fmt: skip
        await publish(gateway, queued, waiting)
    whole = await gateway.until("/v1/queue", lambda q: len(q["items"]) == q["waiting"] == 5)
    assert whole["next"] is None
    for params in ({}, {"pool": "default"}):
        assert await walk(gateway, "/v1/queue", **params) == whole["items"]
    first = await page(gateway, "/v1/queue", None, limit=2)
    assert first["waiting"] == 5
    # the last one seen starts, and the last of all moves ahead
    left = AllocationEnded(
        experiment_id=e, allocation_id=f"{e}-1-a1", trial_id=f"{e}-1", attempt=1,
        outcome=Outcome.STOPPED, reason="", slots=0, seconds=0,
    )  # fmt: skip
    moved = AllocationMoved(experiment_id=e, allocation_id=f"{e}-4-a1", number=2.5, since=3.5)
    await publish(gateway, left, moved)
    await gateway.until("/v1/queue", lambda q: [r["trial_id"][-1] for r in q["items"]] == [*"0243"])
    rest = await page(gateway, "/v1/queue", first["next"], limit=9)
    assert ([row["trial_id"][-1] for row in rest["items"]], rest["next"]) == ([*"243"], None)
    assert (await gateway.http.get("/v1/queue?cursor=x")).status_code == 422
    async with AsyncClient(gateway.url) as client:
        assert len(await client.queue()) == 4
        assert len(await client.queue(limit=3)) == 3
    said = (await shoal("queue"))[1]
    assert all(f"{e}-{n}" in said for n in (0, 2, 3, 4))


def search(e: str, trials: int) -> list[Event]:
    """Some trials, each with an attempt, two checkpoints and a result; the middle one the best."""
    _, created, requested, *_ = trial_events(e)
    found: list[Event] = []
    for n in range(trials):
        its = {"experiment_id": e, "trial_id": f"{e}-{n}"}
        name = {"trial_id": its["trial_id"]}
        found += [created.model_copy(update=name | {"number": n})]
        found += [requested.model_copy(update=name)]
        metric = abs(n - trials // 2) * 1.0 if n else None
        found += [TrialMeasured(**its, metric=metric, step=1, time=1)]
        found += [
            CheckpointSaved(
                **its,
                allocation_id=f"{e}-{n}-a1",
                checkpoint=Checkpoint(url=f"file:///{n}/{step}", step=step, attempt=1),
            )
            for step in (1, 2)
        ]
    return found


async def test_trials_have_pages_filters_and_orders(gateway: Gateway) -> None:
    e = await gateway.submit()
    path = f"/v1/experiments/{e}"
    await publish(gateway, *search(e, 5))
    stopped = TrialStopped(experiment_id=e, trial_id=f"{e}-4", reason="asked")
    await publish(gateway, stopped)
    await gateway.until(f"{path}/trials/{e}-4", lambda t: t["state"] == "stopped")
    await gateway.until(f"{path}/checkpoints", lambda found: len(found["items"]) == 10)
    for params, numbers in [
        ({}, [0, 1, 2, 3, 4]),
        ({"sort": "-number"}, [4, 3, 2, 1, 0]),
        ({"sort": "best"}, [2, 1, 3, 4, 0]),
        ({"sort": "-metric"}, [4, 3, 1, 2, 0]),
        ({"state": "stopped"}, [4]),
        ({"state": ["stopped", "wanted"], "sort": "metric"}, [2, 1, 3, 4, 0]),
        ({"state": "paused"}, []),
    ]:
        whole = await gateway.get(f"{path}/trials", **params)
        assert [t["number"] for t in whole["items"]] == numbers, params
        assert await walk(gateway, f"{path}/trials", **params) == whole["items"], params
    assert (await gateway.http.get(f"{path}/trials?sort=lr")).status_code == 422
    for name in ("runs", "checkpoints"):
        whole = await gateway.get(f"{path}/{name}")
        assert len(whole["items"]) >= 5, name
        assert await walk(gateway, f"{path}/{name}") == whole["items"], name
        one = await gateway.get(f"{path}/{name}", trial=f"{e}-3")
        assert await walk(gateway, f"{path}/{name}", trial=f"{e}-3") == one["items"] != []
    async with AsyncClient(gateway.url) as client:
        assert [t["number"] for t in await client.trials(e, 2, sort="best")] == [2, 1]
        assert len(await client.trials(e, state="wanted")) == 4
        assert len(await client.checkpoints(e)) == 10
