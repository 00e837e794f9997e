"""Projects: experiments of a workspace that belong together."""

import asyncio
from typing import Any

from shoal.client import Client

from .conftest import CONFIG, Gateway, Shoal
from .test_access import person, workspaces

RED = "/v1/workspaces/red"


async def submitted(gateway: Gateway, project: str | None, workspace: str = "red") -> Any:
    """The row of a new experiment of a project."""
    config = CONFIG | {"resources": {"workspace": workspace}}
    body = {"config": config | ({} if project is None else {"project": project})}
    answer = await gateway.http.post("/v1/experiments", json=body)
    assert answer.status_code == 201, answer.text
    return await gateway.get(answer.headers["location"])


async def ids(gateway: Gateway, **params: Any) -> set[str]:
    found = await gateway.get("/v1/experiments", **params)
    return {row["experiment_id"] for row in found["items"]}


async def test_experiments_are_found_by_their_project_whatever_it_is_called(
    gateway: Gateway,
) -> None:
    await workspaces(gateway, "red")
    made = await gateway.http.post(f"{RED}/projects", json={"name": "cells"})
    assert (made.status_code, made.json()["archived"]) == (201, False)
    assert (await gateway.http.post(f"{RED}/projects", json={"name": "cells"})).status_code == 409
    one, other = await submitted(gateway, "cells"), await submitted(gateway, None)
    elsewhere = await submitted(gateway, None, "default")
    assert (one["project"], other["project"]) == ("cells", "default")
    assert one["project_id"] == made.json()["project_id"]
    e = one["experiment_id"]
    assert await ids(gateway, project="cells") == {e}
    rest = {other["experiment_id"], elsewhere["experiment_id"]}
    assert await ids(gateway, project="default") == rest
    assert await ids(gateway, project="default", workspace="red") == {other["experiment_id"]}
    assert await ids(gateway, project="nothing") == set()
    renamed = await gateway.http.patch(f"{RED}/projects/cells", json={"name": "tissue"})
    assert renamed.json()["project_id"] == one["project_id"]
    assert (await gateway.get(f"/v1/experiments/{e}"))["project"] == "tissue"
    assert await ids(gateway, project="tissue") == {e}
    again = await gateway.http.post(f"{RED}/projects", json={"name": "cells"})
    assert again.status_code == 201
    assert await ids(gateway, project="cells") == set()
    fork = await gateway.http.post(f"/v1/experiments/{e}/fork", json={})
    assert (await gateway.get(fork.headers["location"]))["project"] == "tissue"


async def test_what_is_archived_takes_no_more_experiments(gateway: Gateway) -> None:
    await workspaces(gateway, "red")
    await gateway.http.post(f"{RED}/projects", json={"name": "cells"})
    row = await submitted(gateway, "cells")
    path = f"/v1/experiments/{row['experiment_id']}"
    gone = await gateway.http.patch(f"{RED}/projects/cells", json={"archived": True})
    assert gone.json()["archived"]
    listed = (await gateway.get(f"{RED}/projects"))["items"]
    assert [p["name"] for p in listed] == ["default"]
    listed = (await gateway.get(f"{RED}/projects", archived="true"))["items"]
    assert [p["name"] for p in listed] == ["default", "cells"]
    config = CONFIG | {"resources": {"workspace": "red"}, "project": "cells"}
    refused = await gateway.http.post("/v1/experiments", json={"config": config})
    assert refused.status_code == 422
    assert "archived" in refused.json()["errors"][0]["message"]
    assert (await gateway.http.post(f"{path}/fork", json={})).status_code == 422
    moved = await gateway.http.post(f"{path}/fork", json={"changes": {"project": "default"}})
    assert moved.status_code == 201
    assert (await gateway.get(path))["project"] == "cells"
    await gateway.http.patch(f"{RED}/projects/cells", json={"archived": False})
    assert (await gateway.http.post("/v1/experiments", json={"config": config})).is_success
    config["project"] = "cell"
    unknown = (await gateway.http.post("/v1/experiments", json={"config": config})).json()
    assert [(e["path"], e["suggestion"]) for e in unknown["errors"]] == [("project", "cells")]


async def test_an_experiment_is_moved_within_its_workspace(gateway: Gateway) -> None:
    await workspaces(gateway, "red", "blue")
    for workspace, name in (("red", "cells"), ("blue", "sounds")):
        await gateway.http.post(f"/v1/workspaces/{workspace}/projects", json={"name": name})
    row = await submitted(gateway, None)
    path = f"/v1/experiments/{row['experiment_id']}"
    assert (await gateway.http.patch(path, json={"project": "sounds"})).status_code == 422
    answer = await gateway.http.patch(path, json={"project": "cells", "notes": "x"})
    assert (answer.status_code, answer.json()["project"]) == (202, "cells")
    found = await gateway.get(path)
    assert (found["project"], found["notes"], found["revision"]) == ("cells", "x", 1)
    assert await ids(gateway, project="cells") == {row["experiment_id"]}
    await gateway.redis.flushall()
    await gateway.until(path, lambda row: row["project"] == "cells")


async def test_editors_of_a_workspace_make_projects(gateway: Gateway) -> None:
    await workspaces(gateway, "red", "blue")
    ed = await person(gateway, "ed", red="editor", blue="viewer")
    body = {"name": "cells"}
    assert await ed.status("POST", f"{RED}/projects", json=body) == 201
    assert await ed.status("POST", "/v1/workspaces/blue/projects", json=body) == 403
    assert await ed.status("GET", "/v1/workspaces/blue/projects") == 200
    assert await ed.status("GET", "/v1/workspaces/default/projects") == 404
    assert await ed.status("PATCH", f"{RED}/projects/default", json={"name": "x"}) == 409
    assert await ed.status("PATCH", f"{RED}/projects/none", json={"name": "x"}) == 404


async def test_the_command(gateway: Gateway, shoal: Shoal) -> None:
    assert (await shoal("project", "create", "cells", "--description", "HeLa"))[0] == 0
    with Client(gateway.url) as client:
        e = await asyncio.to_thread(client.submit, CONFIG)
    assert (await shoal("edit", e["experiment_id"], "--project", "cells"))[0] == 0
    assert e["experiment_id"] in (await shoal("ls", "--project", "cells"))[1]
    assert "cells" in (await shoal("show", e["experiment_id"]))[1]
    assert (await shoal("project", "archive", "cells"))[0] == 0
    assert "HeLa" not in (await shoal("project", "ls"))[1]
    assert "HeLa" in (await shoal("project", "ls", "--all"))[1]
