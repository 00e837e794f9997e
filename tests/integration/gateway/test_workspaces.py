"""Workspaces are described anew and removed; what they keep is looked at one by one."""

import pytest
from integration.gateway.test_gateway import publish

from shoal import AsyncClient, ShoalError
from shoal_contract.events import SearchCompleted

from .conftest import Gateway
from .test_access import person, workspaces
from .test_catalog import saved

RED = "/v1/workspaces/red"
MLFLOW = "/mlflow/api/2.0/mlflow/experiments/create"
HOOK = {"url": "https://93.184.215.14/x", "events": ["search."]}


async def test_a_workspace_goes_once_it_is_empty(keyed: Gateway) -> None:
    gateway, http = keyed, keyed.http
    await workspaces(gateway, "red")
    ada = await person(gateway, "ada", red="admin")
    ed = await person(gateway, "ed", red="editor")
    body = {"description": "cells"}
    assert await ed.status("PATCH", RED, json=body) == 403
    assert (await ada.ask("PATCH", RED, json=body)).json()["description"] == "cells"
    assert (await gateway.get(RED))["description"] == "cells"
    assert await ed.status("DELETE", RED) == 403
    e = await gateway.submit(resources={"workspace": "red"})
    refused = await ada.ask("DELETE", RED)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:shoal:problem:occupied")
    assert e in refused.json()["detail"]
    await publish(gateway, SearchCompleted(experiment_id=e, reason="done"))
    await gateway.until(f"/v1/experiments/{e}", lambda row: row["state"] == "completed")
    await http.post(f"/v1/experiments/{e}/archive")
    assert await ada.status("DELETE", RED) == 409
    await http.delete(f"/v1/experiments/{e}")
    await http.put(f"{RED}/secrets/KEY", json={"value": "x"})
    await http.put(f"{RED}/templates/t", json={"max_restarts": 1})
    await http.post(f"{RED}/webhooks", json=HOOK)
    token = (await ada.ask("POST", "/v1/tokens", json={"name": "t", "workspace": "red"})).json()
    assert await ada.status("DELETE", RED) == 204
    assert await ada.status("GET", RED) == 404
    assert (await http.get(f"{RED}/templates/t")).status_code == 404
    assert (await ada.ask("GET", f"/v1/tokens/{token['token_id']}")).status_code == 404
    again = await http.post("/v1/workspaces", json={"workspace": "red"})
    assert (again.status_code, "not given again" in again.json()["detail"]) == (409, True)
    assert (await http.delete("/v1/workspaces/default")).status_code == 409
    written = (await gateway.get("/v1/audit", user="ada"))["items"]
    assert {("PATCH", RED, 200), ("DELETE", RED, 204)} <= {
        (r["method"], r["path"], r["status"]) for r in written
    }


async def test_what_mlflow_logged_holds_a_workspace_too(gateway: Gateway) -> None:
    await workspaces(gateway, "red")
    tags = [{"key": "shoal.workspace", "value": "red"}]
    made = await gateway.http.post(MLFLOW, json={"name": "x", "tags": tags})
    assert made.status_code == 200, made.text
    assert (await gateway.http.delete(RED)).status_code == 409


async def test_clients_look_at_things_one_by_one(keyed: Gateway) -> None:
    await workspaces(keyed, "red", "blue")
    ed = await person(keyed, "ed", red="editor")
    checkpoint = await saved(keyed, "red")
    async with AsyncClient(keyed.url) as client:
        token = await client.create_token("ci")
        assert (await client.token(token["token_id"]))["name"] == "ci"
        hook = (await client.create_webhook(HOOK["url"], HOOK["events"], "red"))["webhook_id"]
        assert (await client.webhook(hook, "red"))["events"] == ["search."]
        changed = await client.change_webhook(hook, events=["trial."], workspace="red")
        assert (changed["events"], changed["url"]) == (["trial."], HOOK["url"])
        with pytest.raises(ShoalError, match="does not connect there"):
            await client.change_webhook(hook, url="http://127.0.0.1/x", workspace="red")
        await client.create_model("m", workspace="red")
        for _ in range(2):
            await client.add_version("m", checkpoint, workspace="red")
        assert [v["version"] for v in await client.versions("m", "red")] == [1, 2]
        assert (await client.version("m", 2, "red"))["checkpoint_id"] == checkpoint
        await client.change_workspace("blue", "sky")
        assert (await client.workspace("blue"))["description"] == "sky"
        await client.remove_workspace("blue")
    assert await ed.status("GET", f"/v1/tokens/{token['token_id']}") == 404
    assert await ed.status("GET", f"{RED}/models/m/versions/3") == 404
    assert await ed.status("GET", f"/v1/workspaces/blue/webhooks/{hook}") == 404
    assert await ed.status("PATCH", f"{RED}/webhooks/{hook}", json={"events": ["x"]}) == 403
