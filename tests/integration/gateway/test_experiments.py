"""Experiments as things: found, renamed, forked, gone on from, put away, removed."""

import asyncio
from typing import Any

from integration.gateway.test_gateway import publish, trial_events

from shoal_contract.events import (
    Checkpoint,
    CheckpointSaved,
    SearchCancelled,
    SearchCompleted,
    TrialCompleted,
)
from shoal_contract.subjects import EXPERIMENTS, all_of

from .conftest import CONFIG, Gateway


async def listed(gateway: Gateway, **params: Any) -> list[str]:
    return [e["name"] for e in (await gateway.get("/v1/experiments", **params))["items"]]


async def ended(gateway: Gateway, e: str) -> None:
    await publish(gateway, SearchCompleted(experiment_id=e, reason="done"))
    await gateway.until(f"/v1/experiments/{e}", lambda row: row["state"] == "completed")


def saved(e: str) -> CheckpointSaved:
    checkpoint = Checkpoint(url="file:///c", step=4, attempt=1)
    common = {"experiment_id": e, "trial_id": f"{e}-0", "allocation_id": f"{e}-0-a1"}
    return CheckpointSaved(**common, checkpoint=checkpoint)


async def test_lists_are_filtered_searched_and_sorted(gateway: Gateway) -> None:
    cells = await gateway.submit(name="Cells", labels=["vision", "new"], description="HeLa, 40x")
    await gateway.submit(name="digits", labels=["vision"])
    await gateway.submit(name="audio", labels=["sound"])
    await publish(gateway, SearchCancelled(experiment_id=cells, reason="asked"))
    await gateway.until(f"/v1/experiments/{cells}", lambda row: row["state"] == "cancelled")
    every = ["audio", "digits", "Cells"]
    for params, names in [
        ({}, every),
        ({"state": "active"}, ["audio", "digits"]),
        ({"state": ["active", "cancelled"]}, every),
        ({"name": "DIG"}, ["digits"]),
        ({"label": "vision"}, ["digits", "Cells"]),
        ({"label": ["vision", "new"]}, ["Cells"]),
        ({"owner": "local"}, every),
        ({"owner": "someone"}, []),
        ({"workspace": "default"}, every),
        ({"workspace": "other"}, []),
        ({"q": "hela 40X"}, ["Cells"]),
        ({"q": f"{cells}"}, ["Cells"]),
        ({"sort": "name"}, ["audio", "Cells", "digits"]),
        ({"sort": "-name"}, ["digits", "Cells", "audio"]),
        ({"sort": "submitted"}, every[::-1]),
        ({"sort": "ended"}, ["Cells", "audio", "digits"]),
        ({"sort": "-ended", "label": "vision"}, ["Cells", "digits"]),
        ({"sort": "name", "archived": "true"}, []),
    ]:
        found = await listed(gateway, **params)
        if params.get("sort") == "ended":  # those without an end come last, in no special order
            found = found[:1] + sorted(found[1:])
        assert found == names, params
    assert (await gateway.http.get("/v1/experiments?sort=size")).status_code == 422


async def test_pages_of_a_sorted_and_filtered_list_join(gateway: Gateway) -> None:
    for n in range(7):
        await gateway.submit(name=f"e{n % 3}", labels=["odd" if n % 2 else "even"])
    for sort in ("name", "-name", "submitted", "-submitted", "state"):
        whole = await gateway.get("/v1/experiments", sort=sort, label="even")
        assert (len(whole["items"]), whole["next"]) == (4, None)
        seen: list[str] = []
        params: dict[str, Any] = {"sort": sort, "label": "even", "limit": 3}
        for _ in range(2):
            page = await gateway.get("/v1/experiments", **params)
            seen += [e["experiment_id"] for e in page["items"]]
            params["cursor"] = page["next"]
        assert page["next"] is None
        assert seen == [e["experiment_id"] for e in whole["items"]]


async def test_an_edit_survives_and_the_slower_of_two_is_told(gateway: Gateway) -> None:
    e = await gateway.submit(labels=["a"])
    path = f"/v1/experiments/{e}"
    tag = (await gateway.http.get(path)).headers["ETag"]
    news = {"name": "better", "labels": [], "notes": "lr matters"}
    answer = await gateway.http.patch(path, json=news, headers={"If-Match": tag})
    assert answer.status_code == 202
    row = await gateway.get(path)
    assert {name: row[name] for name in news} == news
    assert (row["description"], row["revision"], row["config"]["name"]) == ("", 1, "digits")
    late = await gateway.http.patch(path, json={"name": "worse"}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert late.json()["type"] == "urn:shoal:problem:changed"
    both = await asyncio.gather(
        *(
            gateway.http.patch(path, json={"name": name}, headers={"If-Match": '"1"'})
            for name in ("x", "y")
        )
    )
    assert sorted(answer.status_code for answer in both) == [202, 412]
    assert (await gateway.get(path))["revision"] == 2
    assert (await gateway.http.patch(path, json={"notes": "z"})).status_code == 202
    assert (await gateway.http.patch(path, json={})).status_code == 422
    assert (await gateway.http.patch(path, json={"name": ""})).status_code == 422
    assert (await gateway.http.patch("/v1/experiments/nope22", json=news)).status_code == 404


async def test_a_fork_has_the_code_the_names_and_the_changes(gateway: Gateway) -> None:
    e = await gateway.submit(labels=["a"], seed=3)
    await gateway.http.patch(f"/v1/experiments/{e}", json={"name": "renamed"})
    body = {"changes": {"searcher": {"max_trials": 9}, "seed": None}}
    headers = {"Idempotency-Key": "k1"}
    path = f"/v1/experiments/{e}/fork"
    first = await gateway.http.post(path, json=body, headers=headers)
    again = await gateway.http.post(path, json=body, headers=headers)
    assert (first.status_code, first.json()) == (201, again.json())
    row = await gateway.get(first.headers["Location"])
    assert (row["name"], row["forked_from"], row["labels"]) == ("renamed", e, ["a"])
    assert (row["config"]["searcher"]["max_trials"], row["config"]["seed"]) == (9, 0)
    other = await gateway.http.post(path, json={}, headers=headers)
    assert other.status_code == 409
    bad = await gateway.http.post(path, json={"changes": {"searcher": {"max_trails": 1}}})
    assert bad.json()["errors"][0]["suggestion"] == "max_trials"


async def test_going_on_from_a_trial(gateway: Gateway) -> None:
    e = await gateway.submit()
    path = f"/v1/experiments/{e}/trials/{e}-0/continue"
    await publish(gateway, *trial_events(e))
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["time"])
    assert (await gateway.http.post(path, json={})).status_code == 409
    await publish(gateway, saved(e))
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["checkpoint"])
    answer = await gateway.http.post(path, json={"max_time": 50, "changes": {"name": "longer"}})
    assert answer.status_code == 201, answer.text
    row = await gateway.get(answer.headers["Location"])
    searcher = row["config"]["searcher"]
    assert (row["name"], row["continues"]) == ("longer", f"{e}-0")
    assert (searcher["name"], searcher["max_time"]) == ("single", 50)
    assert searcher["source_trial_id"] == f"{e}-0"
    assert row["config"]["hyperparameters"] == {"lr": 0.1}


async def test_archives_and_kills(gateway: Gateway) -> None:
    e = await gateway.submit(name="old")
    path = f"/v1/experiments/{e}"
    assert (await gateway.http.post(f"{path}/archive")).status_code == 409
    assert (await gateway.http.post(f"{path}/kill")).status_code == 202
    assert await gateway.bus.last_of(EXPERIMENTS, all_of("experiment.cancel_requested", e))
    await ended(gateway, e)
    assert (await gateway.http.post(f"{path}/archive")).status_code == 202
    assert await listed(gateway) == []
    assert await listed(gateway, archived="any") == ["old"]
    assert await listed(gateway, archived="true", sort="name") == ["old"]
    assert (await gateway.http.post(f"{path}/unarchive")).status_code == 202
    assert await listed(gateway) == ["old"]


async def test_what_is_removed_is_gone_with_its_checkpoints(gateway: Gateway) -> None:
    e = await gateway.submit()
    path, t = f"/v1/experiments/{e}", f"{e}-0"
    await publish(gateway, *trial_events(e))
    completed = TrialCompleted(experiment_id=e, trial_id=t, reason="done")
    await publish(gateway, saved(e), completed)
    await gateway.until(f"{path}/checkpoints", lambda found: found["items"])
    assert (await gateway.http.delete(path)).status_code == 409
    await ended(gateway, e)
    [checkpoint] = (await gateway.get(f"{path}/checkpoints"))["items"]
    pin = f"{path}/checkpoints/{checkpoint['checkpoint_id']}"
    await gateway.http.post(f"{pin}/pin")
    assert (await gateway.http.delete(path)).status_code == 409
    await gateway.http.post(f"{pin}/unpin")
    assert (await gateway.http.delete(path)).status_code == 202
    for gone in (path, f"{path}/trials", f"{path}/trials/{t}", f"{path}/checkpoints"):
        assert (await gateway.http.get(gone)).status_code == 404
    assert await listed(gateway, archived="any") == []
    asked = all_of("experiment.checkpoint_change_requested", e, t)
    last = await gateway.bus.js.get_last_msg(EXPERIMENTS.name, asked)
    assert b'"remove"' in (last.data or b"")
    assert CONFIG["name"] not in str(await gateway.redis.keys("*"))
    assert await gateway.redis.keys(f"*{e}*") == []
