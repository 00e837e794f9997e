"""Secrets and trials' tokens: through the door, over NATS, to a worker's side and back."""

import json
import secrets
from typing import Any

import pytest

from shoal_bus.sealing import Attempt, Seal, SealError
from shoal_contract.events import AllocationEnded, Event, Task
from shoal_contract.states import Outcome
from shoal_contract.subjects import SECRETS
from shoal_worker.shell.private import Private

from .conftest import CONFIG, Gateway
from .test_access import Person, person, workspaces
from .test_gateway import publish, trial_events

KEY = "k" * 32
VALUE = "hush-" + secrets.token_hex(8)
SECRET = "/v1/workspaces/red/secrets/WANDB_KEY"


def task(e: str, **changes: Any) -> Task:
    values = {
        "experiment_id": e, "trial_id": f"{e}-0", "attempt": 1, "entrypoint": ["x"],
        "bundle": None, "hyperparameters": {}, "seed": 1, "environment": {}, "metric": "loss",
        "smaller_is_better": True, "time_metric": "step", "target": 1, "storage_url": "file:///s",
        "checkpoint": None, **changes,
    }  # fmt: skip
    return Task.model_validate(values)


async def test_a_secret_goes_to_trials_and_to_nobody_else(keyed: Gateway) -> None:
    await workspaces(keyed, "red")
    ada = await person(keyed, "ada", red="admin")
    ed = await person(keyed, "ed", red="editor")
    assert await ed.status("PUT", SECRET, json={"value": VALUE}) == 403
    assert await ada.status("PUT", SECRET, json={"value": "old-" + VALUE}) == 204
    assert await ada.status("PUT", SECRET, json={"value": VALUE}) == 204
    bad = await ada.ask("PUT", SECRET, json={"value": [VALUE]})
    assert bad.status_code == 422
    assert VALUE not in bad.text
    assert await ada.status("PUT", SECRET.replace("WANDB_KEY", "a%0ab"), json={"value": "x"}) == 422
    listed = (await ada.ask("GET", SECRET.rpartition("/")[0])).json()["items"]
    assert [s["name"] for s in listed] == ["WANDB_KEY"]
    stored = await keyed.bus.js.get_last_msg(SECRETS.name, "shoal.v1.secret.kept.red.WANDB_KEY")
    assert VALUE.encode() not in (stored.data or b"")
    assert (await keyed.bus.extent(SECRETS))[0] == 1  # what was replaced is gone

    config = CONFIG | {"resources": {"workspace": "red"}}
    wrong = config | {"environment": {"secrets": ["WANDB_KEY", "OTHER"]}}
    answer = await ed.ask("POST", "/v1/experiments", json={"config": wrong})
    assert [e["path"] for e in answer.json()["errors"]] == ["environment.secrets.1"]
    right = config | {"environment": {"secrets": ["WANDB_KEY"]}}
    answer = await ed.ask("POST", "/v1/experiments", json={"config": right})
    assert answer.status_code == 201, answer.text

    private = Private(keyed.bus, Seal(KEY), keyed.url)
    wanted = task("e", workspace="red", secrets=["WANDB_KEY"])
    assert (await private.env(wanted))["WANDB_KEY"] == VALUE
    with pytest.raises(SealError, match="SHOAL_SECRET_KEY"):
        await Private(keyed.bus, None).env(wanted)
    with pytest.raises(SealError, match="another key"):
        await Private(keyed.bus, Seal("o" * 32)).env(wanted)
    everything = await keyed.http.get("/v1/events?since=start&follow=false")
    audit = json.dumps(await keyed.get("/v1/audit"))
    assert VALUE not in everything.text + audit
    assert "secret." not in everything.text
    assert await ada.status("DELETE", SECRET) == 204
    assert await ada.status("DELETE", SECRET) == 404
    with pytest.raises(SealError, match="no secret"):
        await private.env(wanted)


async def test_a_trial_may_touch_its_own_experiment_while_it_runs(keyed: Gateway) -> None:
    e, other = await keyed.submit(), await keyed.submit(name="other")
    env = await Private(keyed.bus, Seal(KEY), keyed.url).env(task(e))
    trial = Person(keyed, env["SHOAL_TOKEN"])
    assert await trial.status("GET", "/v1/me") == 503  # reads do not know of its slots yet
    await publish(keyed, *trial_events(e))
    await keyed.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["running"])
    me = (await trial.ask("GET", "/v1/me")).json()
    assert (me["user"], me["experiment_id"], me["role"]) == (f"{e}-0", e, None)
    assert await trial.status("GET", f"/v1/experiments/{e}") == 200
    assert await trial.status("GET", f"/v1/experiments/{other}") == 404
    listed = (await trial.ask("GET", "/v1/experiments")).json()["items"]
    assert [x["experiment_id"] for x in listed] == [e]
    text = (await trial.ask("GET", "/v1/events?since=start&follow=false")).text
    assert e in text
    assert other not in text
    assert "pool." not in text
    for method, path in (
        ("POST", "/v1/experiments"), ("POST", "/v1/tokens"), ("GET", "/v1/tokens"),
        ("GET", "/v1/users"), ("GET", "/v1/nodes"), ("POST", "/v1/bundles"),
        ("POST", "/v1/logout"),
    ):  # fmt: skip
        assert await trial.status(method, path, json={"config": CONFIG}) == 403, path
    assert await trial.status("GET", "/v1/workspaces/default") == 404
    assert await trial.status("POST", f"/v1/experiments/{e}/pause") == 202
    last = (await keyed.get("/v1/audit", limit=1))["items"][0]
    assert (last["user"], last["status"]) == (f"{e}-0", 202)

    later = Seal(KEY).sign(Attempt(e, f"{e}-0", 2), 60)
    forged = Seal("o" * 32).sign(Attempt(e, f"{e}-0", 1), 60)
    assert await Person(keyed, later).status("GET", "/v1/me") == 503  # reads may not know yet
    for token in (forged, Seal(KEY).sign(Attempt(e, f"{e}-0", 1), -1)):
        assert await Person(keyed, token).status("GET", "/v1/me") == 401
    ended: Event = AllocationEnded(
        experiment_id=e, allocation_id=f"{e}-0-a1", trial_id=f"{e}-0", attempt=1,
        outcome=Outcome.COMPLETED, reason="", slots=2, seconds=3.0,
    )  # fmt: skip
    await publish(keyed, ended)
    await keyed.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: not t["running"])
    assert await trial.status("GET", "/v1/me") == 401


async def test_without_a_key_there_are_neither(gateway: Gateway) -> None:
    path = "/v1/workspaces/default/secrets/X"
    assert (await gateway.http.put(path, json={"value": VALUE})).status_code == 409
    token = Seal(KEY).sign(Attempt("e", "e-0", 1), 60)
    assert await Person(gateway, token).status("GET", "/v1/me") == 401
