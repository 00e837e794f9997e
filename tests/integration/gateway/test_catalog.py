"""Templates and models, as callers see them."""

from typing import Any

from shoal_contract.events import Checkpoint, CheckpointSaved

from .conftest import CONFIG, Gateway
from .test_access import person, workspaces
from .test_gateway import publish, trial_events

RED = "/v1/workspaces/red"


async def test_an_experiment_begins_with_a_template(gateway: Gateway) -> None:
    await workspaces(gateway, "red")
    ed, vera = (
        await person(gateway, "ed", red="editor"),
        await person(gateway, "vera", red="viewer"),
    )
    part = {"resources": {"slots_per_trial": 4, "priority": 7}, "max_restarts": 1}
    assert await vera.status("PUT", f"{RED}/templates/big", json=part) == 403
    kept = (await ed.ask("PUT", f"{RED}/templates/big", json=part)).json()
    assert (kept["config"], kept["by"]) == (part, "ed")
    wrong = await ed.ask("PUT", f"{RED}/templates/bad", json={"resorces": {}})
    assert [e["path"] for e in wrong.json()["errors"]] == ["resorces"]
    assert [t["name"] for t in (await vera.ask("GET", f"{RED}/templates")).json()["items"]] == [
        "big"
    ]
    config = CONFIG | {"resources": {"workspace": "red", "priority": 9}}
    answer = await ed.ask("POST", "/v1/experiments", json={"config": config, "template": "big"})
    assert answer.status_code == 201, answer.text
    found = (await ed.ask("GET", answer.headers["location"])).json()["config"]
    assert found["resources"]["slots_per_trial"] == 4
    assert (found["resources"]["priority"], found["max_restarts"]) == (9, 1)
    body = {"config": CONFIG, "template": "big"}  # of the workspace `default`
    assert await ed.status("POST", "/v1/experiments", json=body) == 404
    assert (await gateway.http.post("/v1/experiments", json=body)).status_code == 404
    assert await ed.status("DELETE", f"{RED}/templates/big") == 204
    assert await ed.status("DELETE", f"{RED}/templates/big") == 404


async def saved(gateway: Gateway, workspace: str) -> str:
    """The id of a checkpoint of an experiment in a workspace."""
    e = await gateway.submit(resources={"workspace": workspace})
    checkpoint = Checkpoint(url=f"file:///s/{e}-0/a1-4", step=4, attempt=1)
    event = CheckpointSaved(
        experiment_id=e, trial_id=f"{e}-0", allocation_id=f"{e}-0-a1", checkpoint=checkpoint
    )
    await publish(gateway, *trial_events(e), event)

    def there(found: Any) -> bool:
        return bool(found["items"])

    found = await gateway.until(f"/v1/experiments/{e}/checkpoints", there)
    return str(found["items"][0]["checkpoint_id"])


async def test_checkpoints_become_versions_of_a_model(gateway: Gateway) -> None:
    await workspaces(gateway, "red", "blue")
    ed = await person(gateway, "ed", red="editor", blue="editor")
    one, other = await saved(gateway, "red"), await saved(gateway, "blue")
    new = {"name": "cells", "description": "counts cells"}
    assert await ed.status("POST", f"{RED}/models", json=new) == 201
    assert await ed.status("POST", f"{RED}/models", json=new) == 409
    versions = f"{RED}/models/cells/versions"
    for number in (1, 2):
        answer = await ed.ask("POST", versions, json={"checkpoint_id": one, "notes": "good"})
        assert answer.status_code == 201, answer.text
        assert (answer.json()["version"], answer.json()["stage"]) == (number, "none")
    assert await ed.status("POST", versions, json={"checkpoint_id": other}) == 409
    assert await ed.status("POST", versions, json={"checkpoint_id": "no-0-a1-4"}) == 404
    for number in (1, 2):
        change = {"stage": "production"}
        assert await ed.status("PATCH", f"{versions}/{number}", json=change) == 200
    assert await ed.status("PATCH", f"{versions}/3", json={}) == 404
    found = (await ed.ask("GET", f"{RED}/models/cells")).json()
    assert [(v["stage"], v["notes"]) for v in found["versions"]] == [
        ("archived", "good"),
        ("production", "good"),
    ]
    e = one.rsplit("-", 3)[0]
    pinned = f"/v1/experiments/{e}/checkpoints/{one}"
    await gateway.until(pinned, lambda c: c["state"] == "pinned")
    assert await ed.status("PATCH", f"{RED}/models/cells", json={"description": "x"}) == 200
    assert await ed.status("DELETE", f"{RED}/models/cells") == 204
    assert (await ed.ask("GET", f"{RED}/models")).json()["items"] == []
    assert await ed.status("GET", f"{RED}/models/cells") == 404
