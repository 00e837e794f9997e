"""Answers say how fresh they are; a client sees what it wrote; models are made anew in service."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shoal_contract.events import TrainingReported, TrialCreated
from shoal_contract.subjects import ACCESS, EXPERIMENTS, SECRETS
from shoal_gateway.core import positions
from shoal_gateway.settings import Settings
from shoal_gateway.shell.rebuild import rebuild

from .conftest import CONFIG, Gateway


async def test_an_answer_says_up_to_when_it_knows_everything(gateway: Gateway) -> None:
    before = datetime.now(UTC)
    e = await gateway.submit()
    seen = datetime.min.replace(tzinfo=UTC)
    for _ in range(100):
        answer = await gateway.http.get(f"/v1/experiments/{e}")
        stamp, _, position = answer.headers["Shoal-As-Of"].partition("; position=")
        at = positions.decode(position)
        assert at is not None
        assert at[EXPERIMENTS.name] == 1
        assert datetime.fromisoformat(stamp) >= seen
        seen = datetime.fromisoformat(stamp)
        if seen >= before:
            break
        await asyncio.sleep(0.05)
    assert before <= seen <= datetime.now(UTC)
    assert "Shoal-As-Of" not in (await gateway.http.get("/livez")).headers


async def test_one_reads_what_one_wrote(gateway: Gateway) -> None:
    written = await gateway.http.post("/v1/experiments", json={"config": CONFIG})
    after = written.headers["Shoal-After"]
    path = written.headers["Location"]
    answer = await gateway.http.get(path, headers={"Shoal-After": after})
    assert answer.status_code == 200
    later = positions.encode({EXPERIMENTS.name: 9})
    answer = await gateway.http.get(path, headers={"Shoal-After": later})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    asking = asyncio.create_task(gateway.http.get(path, headers={"Shoal-After": "2"}))
    await gateway.submit()
    assert (await asking).status_code == 200
    assert (await gateway.http.get(path, headers={"Shoal-After": "x"})).status_code == 400


async def test_what_the_ledger_is_told_can_be_waited_for(keyed: Gateway) -> None:
    http, red = keyed.http, "/v1/workspaces/red"
    made = await http.post("/v1/workspaces", json={"workspace": "red"})
    at = positions.decode(made.headers["Shoal-After"])
    assert at is not None
    end = (await keyed.bus.extent(ACCESS))[1]
    assert at == dict.fromkeys(at, 0) | {ACCESS.name: end}
    later = {"Shoal-After": positions.encode({ACCESS.name: end + 1})}
    assert (await http.get(red, headers=later)).status_code == 503
    asking = asyncio.create_task(http.get(red, headers=later))
    written = await http.put(f"{red}/templates/t", json={"max_restarts": 1})
    assert written.headers["Shoal-After"] == later["Shoal-After"]
    assert (await asking).status_code == 200
    assert (await http.get(f"{red}/templates/t", headers=later)).status_code == 200
    secret = await http.put(f"{red}/secrets/KEY", json={"value": "x"})
    kept = positions.decode(secret.headers["Shoal-After"])
    assert kept is not None
    assert kept[SECRETS.name] == 1
    for method, path, body in (
        ("PUT", f"{red}/members/local", {"role": "viewer"}),
        ("DELETE", f"{red}/members/local", None),
        ("PATCH", "/v1/users/local", {"role": "admin"}),
        ("DELETE", f"{red}/templates/t", None),
    ):
        answer = await http.request(method, path, json=body)
        assert answer.is_success, answer.text
        assert "Shoal-After" in answer.headers, path


@pytest.mark.parametrize("files_too", [False, True])
async def test_read_models_are_made_anew_while_they_are_read(
    gateway: Gateway, alone: Settings, files_too: bool
) -> None:
    e = await gateway.submit()
    made = TrialCreated(experiment_id=e, trial_id=f"{e}-0", number=0, hyperparameters={}, seed=1)
    await gateway.bus.publish(made, id="created")
    for step in range(3):
        report = TrainingReported(
            experiment_id=e, trial_id=f"{e}-0", allocation_id="a", attempt=1, step=step,
            metrics={"loss": 1.0}, at=1.0,
        )  # fmt: skip
        await gateway.bus.publish(report, id=f"r{step}")
    path = f"/v1/experiments/{e}/metrics?group=training"
    wanted = await gateway.until(path, lambda m: len(m["items"]) == 3)
    await gateway.redis.hset(f"shoal:0:experiment:{e}", "closing", '"nonsense"')
    assert (await gateway.get(f"/v1/experiments/{e}"))["closing"] == "nonsense"
    building = asyncio.create_task(rebuild(alone, files_too=files_too))
    answers = 0
    while not building.done():
        assert len((await gateway.get("/v1/experiments"))["items"]) == 1
        answers += 1
        await asyncio.sleep(0.02)
    assert await building == 1
    assert answers > 20
    assert (await gateway.get(f"/v1/experiments/{e}"))["closing"] is None
    assert (await gateway.http.get(path)).json() == wanted
    assert not await gateway.redis.keys("shoal:0:*")
    other = await gateway.submit()
    assert (await gateway.get(f"/v1/experiments/{other}"))["state"] == "active"
    await gateway.redis.flushall()
    await gateway.until("/v1/experiments", lambda found: len(found["items"]) == 2)
    await gateway.until(path, lambda found: found == wanted)
    pointers = [json.loads(p.read_text()) for p in Path(gateway.storage / "metrics").glob("*.json")]
    assert pointers
    assert all(p["folder"].endswith("-2" if files_too else "-1") for p in pointers)
