"""`ETag` and `If-Match`: of two who change the same, the slower is told so."""

import asyncio
from typing import Any

from shoal_contract.events import SearchPaused

from .conftest import Gateway
from .test_access import PASSWORD
from .test_answers import machines
from .test_catalog import saved
from .test_gateway import publish

RED = "/v1/workspaces/red"


async def tag(gateway: Gateway, path: str) -> str:
    answer = await gateway.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


async def change(
    gateway: Gateway, path: str, body: Any, meant: str | None, method: str = "PATCH"
) -> int:
    headers = {} if meant is None else {"If-Match": meant}
    answer = await gateway.http.request(method, path, json=body, headers=headers)
    if answer.status_code == 412:
        assert answer.json()["type"] == "urn:shoal:problem:changed"
    return answer.status_code


async def test_one_of_two_changes_of_an_experiment_is_refused(gateway: Gateway) -> None:
    e = await gateway.submit()
    path, share = f"/v1/experiments/{e}", f"/v1/experiments/{e}/share"
    for where, bodies in (
        (path, [{"max_trials": 9}, {"max_trials": 8}]),
        (share, [{"weight": 2.0}, {"priority": 3}]),
        (path, [{"max_concurrent_trials": 3}, {"name": "x"}]),
        (path, [{"name": "y", "max_trials": 7}, {"notes": "z"}]),
    ):
        meant = await tag(gateway, path)
        asked = (change(gateway, where, body, meant) for body in bodies)
        assert sorted(await asyncio.gather(*asked)) == [202, 412]
        for wrong in (meant, "bogus", f"W/{await tag(gateway, path)}"):
            assert await change(gateway, where, bodies[0], wrong) == 412
        listed = f"{meant}, {await tag(gateway, path)}"
        assert await change(gateway, where, bodies[0], listed) == 202
        assert await change(gateway, where, bodies[0], "*") == 202
        assert await change(gateway, where, bodies[0], None) == 202


async def test_what_changes_nothing_is_in_nobodys_way(gateway: Gateway) -> None:
    e = await gateway.submit()
    path = f"/v1/experiments/{e}"
    meant = await tag(gateway, path)
    assert (await gateway.http.post(f"{path}/pause")).status_code == 202
    await publish(gateway, SearchPaused(experiment_id=e, reason="asked"))
    await gateway.until(path, lambda row: row["state"] == "paused")
    assert await tag(gateway, path) == meant
    assert await change(gateway, path, {"max_trials": 9}, meant) == 202


async def test_one_of_two_changes_of_a_pool_is_refused(gateway: Gateway) -> None:
    path = "/v1/pools/default"
    e = await gateway.submit()
    await publish(gateway, *machines(e))
    await gateway.until(path, lambda pool: pool["pool"])
    meant = await tag(gateway, path)
    asked = (change(gateway, path, {"max_instances": n}, meant) for n in (2, 3))
    assert sorted(await asyncio.gather(*asked)) == [202, 412]
    assert await change(gateway, path, {"max_instances": 5}, "bogus") == 412
    assert await change(gateway, path, {"max_instances": 5}, await tag(gateway, path)) == 202
    assert (await gateway.http.get("/v1/pools/no pool")).status_code == 404


async def test_so_is_one_of_two_changes_of_what_the_ledger_has(keyed: Gateway) -> None:
    gateway, http = keyed, keyed.http
    await http.post("/v1/users", json={"user": "ada", "password": PASSWORD})
    await http.post("/v1/workspaces", json={"workspace": "red"})
    await http.post(f"{RED}/projects", json={"name": "p"})
    await http.post(f"{RED}/models", json={"name": "m"})
    await http.put(f"{RED}/templates/t", json={"max_restarts": 1})
    checkpoint = {"checkpoint_id": await saved(gateway, "red")}
    assert (await http.post(f"{RED}/models/m/versions", json=checkpoint)).status_code == 201
    hook = {"url": "https://93.184.215.14/x", "events": ["search."]}
    webhook = (await http.post(f"{RED}/webhooks", json=hook)).json()["webhook_id"]
    for method, path, bodies in (
        ("PATCH", "/v1/users/ada", [{"role": "viewer"}, {"enabled": False}]),
        ("PATCH", f"{RED}/projects/p", [{"description": "x"}, {"archived": True}]),
        ("PATCH", f"{RED}/models/m/versions/1", [{"notes": "x"}, {"stage": "staging"}]),
        ("PATCH", f"{RED}/models/m", [{"description": "x"}, {"description": "y"}]),
        ("PUT", f"{RED}/templates/t", [{"max_restarts": 2}, {"max_restarts": 3}]),
        (
            "PATCH",
            f"{RED}/webhooks/{webhook}",
            [{"events": ["trial."]}, {"url": hook["url"] + "y"}],
        ),
        ("PATCH", RED, [{"description": "x"}, {"description": "y"}]),
    ):
        meant = await tag(gateway, path)
        asked = (change(gateway, path, body, meant, method) for body in bodies)
        assert sorted(await asyncio.gather(*asked)) == [200, 412], path
        assert await tag(gateway, path) != meant
        assert await change(gateway, path, bodies[0], f'"1", {meant}', method) == 412
        answer = await http.request(method, path, json=bodies[0], headers={"If-Match": "*"})
        assert answer.headers["ETag"] == await tag(gateway, path)
    other = f"{RED}/templates/other"
    assert await change(gateway, other, {"max_restarts": 2}, "*", "PUT") == 412
    assert await change(gateway, "/v1/users/eve", {"role": "viewer"}, "*") == 404
    for path in (
        f"{RED}/webhooks/{webhook}",
        f"{RED}/templates/t",
        f"{RED}/models/m",
        "/v1/users/ada",
    ):
        meant = await tag(gateway, path)
        for header, status in (('"x"', 412), (meant, 204)):
            answer = await http.delete(path, headers={"If-Match": header})
            assert answer.status_code == status, path


async def test_and_of_who_may_do_what_and_of_secrets(keyed: Gateway) -> None:
    gateway, http = keyed, keyed.http
    ada, member, secret = "/v1/users/ada", f"{RED}/members/ada", f"{RED}/secrets/KEY"
    await http.post("/v1/users", json={"user": "ada", "password": PASSWORD})
    await http.post("/v1/workspaces", json={"workspace": "red"})
    for path in (member, secret):
        assert (await http.get(path)).status_code == 404
    for path, shown, bodies in (
        (member, member, [{"role": role} for role in ("editor", "admin", "viewer")]),
        (secret, secret, [{"value": value} for value in "xyz"]),
        (f"{ada}/password", ada, [{"password": f"{PASSWORD}{n}"} for n in range(3)]),
    ):
        if path == shown:
            assert await change(gateway, path, bodies[0], "*", "PUT") == 412  # there is none yet
        assert await change(gateway, path, bodies[0], None, "PUT") == 204
        meant = await tag(gateway, shown)
        asked = (change(gateway, path, body, meant, "PUT") for body in bodies[1:])
        assert sorted(await asyncio.gather(*asked)) == [204, 412], path
        answer = await http.put(path, json=bodies[1], headers={"If-Match": "*"})
        assert answer.headers["ETag"] == await tag(gateway, shown) != meant
        assert await change(gateway, path, bodies[0], meant, "PUT") == 412
    for path in (member, secret):
        for header, status in (('"x"', 412), (await tag(gateway, path), 204)):
            answer = await http.delete(path, headers={"If-Match": header})
            assert answer.status_code == status, path
        assert (await http.get(path)).status_code == 404


async def test_a_token_has_a_tag(gateway: Gateway) -> None:
    made = (await gateway.http.post("/v1/tokens", json={"name": "ci"})).json()
    path = f"/v1/tokens/{made['token_id']}"
    assert (await tag(gateway, path)).startswith('"')
    assert "token" not in await gateway.get(path)
