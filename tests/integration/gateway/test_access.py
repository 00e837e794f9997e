"""Who is let in, and what they see, through the door."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal_bus.bus import Bus
from shoal_contract.events import LogWritten, SearchPaused
from shoal_contract.roles import Role
from shoal_gateway.__main__ import main
from shoal_gateway.core.ledger.commands import AddUser, IssueToken
from shoal_gateway.settings import Settings
from shoal_gateway.shell.auth import OPEN, PAGES
from shoal_gateway.shell.ledger import Ledger
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.rules import RULES, rule_of
from shoal_gateway.shell.tokens import digest

from .conftest import CONFIG, Gateway, Shoal, serving, up
from .test_gateway import publish

PASSWORD = "correct horse battery"


class Person:
    """Someone with a token."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        self._http, self.token = gateway.http, token

    async def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | arguments.pop("headers", {})
        return await self._http.request(method, path, headers=headers, **arguments)

    async def status(self, method: str, path: str, **arguments: Any) -> int:
        return (await self.ask(method, path, **arguments)).status_code


async def person(gateway: Gateway, name: str, role: str | None = None, **places: str) -> Person:
    """A new user, logged in, with a role in the cluster and others in workspaces."""
    body = {"user": name, "password": PASSWORD, "role": role}
    assert (await gateway.http.post("/v1/users", json=body)).status_code == 201
    for workspace, what in places.items():
        url = f"/v1/workspaces/{workspace}/members/{name}"
        assert (await gateway.http.put(url, json={"role": what})).status_code == 204
    answer = await gateway.http.post("/v1/login", json={"user": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return Person(gateway, answer.json()["token"])


async def workspaces(gateway: Gateway, *names: str) -> None:
    for name in names:
        answer = await gateway.http.post("/v1/workspaces", json={"workspace": name})
        assert answer.status_code == 201, answer.text


@contextlib.asynccontextmanager
async def replica(gateway: Gateway) -> AsyncIterator[Ledger]:
    """Another gateway's ledger."""
    ledger = Ledger(gateway.bus, 10.0)
    await ledger.begin()
    following = asyncio.create_task(ledger.run())
    yield ledger
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def routes(gateway: Gateway) -> list[tuple[str, str]]:
    """Method and template of all that the application answers."""
    own = [("GET", path) for path in ("/docs", "/openapi.json", "/nothing")]
    paths = (await gateway.get("/openapi.json"))["paths"]
    return own + [(m.upper(), path) for path, ways in paths.items() for m in ways]


async def test_no_route_answers_without_a_token_that_counts(gateway: Gateway) -> None:
    found = await routes(gateway)
    assert len(found) > 30
    assert set(found) >= OPEN
    async with httpx.AsyncClient(base_url=gateway.url) as nobody:
        for method, path in found:
            for headers in ({}, {"Authorization": "Bearer shoal_x"}, {"Authorization": "Basic x"}):
                answer = await nobody.request(method, path, headers=headers)
                if (method, path) in OPEN:
                    assert answer.headers.get("www-authenticate") is None, path
                else:
                    assert answer.status_code == 401, (method, path)
                    scheme = "Basic" if path in PAGES else "Bearer"
                    assert answer.headers["www-authenticate"].split()[0] == scheme
                    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_person_reads_the_documentation_in_a_browser(
    gateway: Gateway, shoal: Shoal
) -> None:
    code, said = await shoal("docs", "--json")
    made = json.loads(said)
    assert (code, made["url"]) == (0, f"{gateway.url}/docs")
    async with httpx.AsyncClient(base_url=gateway.url) as browser:
        for path, text in (("/docs", "swagger-ui"), ("/openapi.json", '"openapi":"3.1')):
            page = await browser.get(path, auth=("me", made["token"]))
            assert (page.status_code, text in page.text) == (200, True), path
            wrong = await browser.get(path, auth=("me", "shoal_x"))
            assert (wrong.status_code, "`shoal docs`" in wrong.json()["detail"]) == (401, True)
        for answer in (
            await browser.get(
                "/v1/me", auth=("me", made["token"])
            ),  # browsers send it by themselves
            await browser.post("/docs", auth=("me", "")),
        ):
            assert answer.status_code == 401
        reading = {"Authorization": f"Bearer {made['token']}"}
        refused = await browser.post("/v1/tokens", json={"name": "x"}, headers=reading)
        assert refused.status_code == 403


async def test_rules_are_of_routes_that_there_are(gateway: Gateway) -> None:
    told = set(await routes(gateway)) | {("GET", "/v1/events/ws")}  # OpenAPI has no WebSockets
    assert set(RULES) <= told
    assert rule_of("POST", "/v1/anything").name == "ADMIN"


async def test_a_password_gives_a_token_and_a_wrong_one_does_not(gateway: Gateway) -> None:
    ada = await person(gateway, "ada", "viewer")
    me = (await ada.ask("GET", "/v1/me")).json()
    assert (me["user"], me["role"], me["workspaces"]) == ("ada", "viewer", {})
    for user, password in (("ada", "wrong"), ("eve", PASSWORD), ("local", "")):
        body = {"user": user, "password": password}
        answer = await gateway.http.post("/v1/login", json=body)
        assert answer.status_code == 401
        assert answer.json()["detail"] == "The name or the password is wrong."
    body = {"password": "another good one", "old": "wrong"}
    assert await ada.status("PUT", "/v1/users/ada/password", json=body) == 403
    body["old"] = PASSWORD
    assert await ada.status("PUT", "/v1/users/local/password", json=body) == 403
    assert await ada.status("PUT", "/v1/users/ada/password", json=body) == 204
    assert await ada.status("GET", "/v1/me") == 401
    login = {"user": "ada", "password": "another good one"}
    again = Person(gateway, (await gateway.http.post("/v1/login", json=login)).json()["token"])
    assert await again.status("POST", "/v1/logout") == 204
    assert await again.status("GET", "/v1/me") == 401


async def test_tokens_are_shown_once_and_allow_what_they_say(gateway: Gateway) -> None:
    await workspaces(gateway, "red", "blue")
    ada = await person(gateway, "ada", red="editor", blue="editor")
    made = (
        await ada.ask(
            "POST", "/v1/tokens", json={"name": "ci", "scope": "read", "workspace": "red"}
        )
    ).json()
    listed = (await ada.ask("GET", "/v1/tokens")).json()["items"]
    assert made["token"] not in str(listed)
    assert digest(made["token"]) not in str(listed)
    ci = Person(gateway, made["token"])
    me = (await ci.ask("GET", "/v1/me")).json()
    assert me["workspaces"] == {"red": "viewer"}
    config = CONFIG | {"resources": {"workspace": "red"}}
    assert await ci.status("POST", "/v1/experiments", json={"config": config}) == 403
    assert await ada.status("POST", "/v1/experiments", json={"config": config}) == 201
    more = {"name": "more", "scope": "write", "workspace": "red"}
    assert await ci.status("POST", "/v1/tokens", json=more) == 403
    assert await ci.status("POST", "/v1/tokens", json={"name": "wide", "scope": "read"}) == 403
    bob = await person(gateway, "bob")
    assert await bob.status("DELETE", f"/v1/tokens/{made['token_id']}") == 404
    assert await ada.status("DELETE", f"/v1/tokens/{made['token_id']}") == 204
    assert await ci.status("GET", "/v1/me") == 401


async def test_a_token_ends_with_its_time_and_with_its_user(gateway: Gateway) -> None:
    ada = await person(gateway, "ada", "viewer")
    now = time.time()
    async with replica(gateway) as ledger:
        for text, end in (("shoal_soon", now + 0.5), ("shoal_later", now + 60)):
            await ledger.do(
                IssueToken(text[6:], "ada", digest(text), "api", "", Role.VIEWER, None, now, end)
            )
    assert await Person(gateway, "shoal_soon").status("GET", "/v1/me") == 200
    await asyncio.sleep(max(0.0, now + 0.5 - time.time()))
    assert await Person(gateway, "shoal_soon").status("GET", "/v1/me") == 401
    assert await Person(gateway, "shoal_later").status("GET", "/v1/me") == 200
    change = {"enabled": False}
    assert (await gateway.http.patch("/v1/users/ada", json=change)).status_code == 200
    assert await Person(gateway, "shoal_later").status("GET", "/v1/me") == 401
    assert await ada.status("GET", "/v1/me") == 401
    assert (await gateway.http.delete("/v1/users/local")).status_code == 409


async def test_other_workspaces_are_not_there(gateway: Gateway) -> None:
    await workspaces(gateway, "red", "blue")
    ada, bob = (
        await person(gateway, "ada", red="editor"),
        await person(gateway, "bob", blue="editor"),
    )
    ids = {}
    for name, who in (("red", ada), ("blue", bob)):
        config = CONFIG | {"resources": {"workspace": name}}
        answer = await who.ask("POST", "/v1/experiments", json={"config": config})
        assert answer.status_code == 201, answer.text
        ids[name] = answer.json()["experiment_id"]
    red, blue = ids["red"], ids["blue"]
    log = LogWritten(
        experiment_id=blue, trial_id=f"{blue}-0", allocation_id="a", rank=0, stream="stdout",
        lines=["x"], sequence=0, at=1.0,
    )  # fmt: skip
    await publish(gateway, log, SearchPaused(experiment_id=blue), SearchPaused(experiment_id=red))
    listed = (await ada.ask("GET", "/v1/experiments")).json()["items"]
    assert [e["experiment_id"] for e in listed] == [red]
    everybody = await gateway.get("/v1/experiments")
    assert [e["experiment_id"] for e in everybody["items"]] == [blue, red]
    for method, path in await routes(gateway):
        if "{experiment_id}" in path:
            url = path.replace("{experiment_id}", blue).replace("{trial_id}", f"{blue}-0")
            assert await ada.status(method, url) == 404, (method, path)
        if "{workspace}" in path:
            url = path.replace("{workspace}", "blue").replace("{user}", "bob")
            assert await ada.status(method, url, json={}) == 404, (method, path)
    assert await ada.status("GET", f"/v1/experiments/{red}:trials") == 404
    for workspace in ("blue", "none"):
        config = CONFIG | {"resources": {"workspace": workspace}}
        assert await ada.status("POST", "/v1/experiments", json={"config": config}) == 404
    warm = CONFIG | {"searcher": CONFIG["searcher"] | {"sampler": "tpe", "warm_start": [blue]}}
    body = {"config": warm | {"resources": {"workspace": "red"}}}
    assert await ada.status("POST", "/v1/experiments", json=body) == 422
    params = {"since": "start", "follow": "false"}
    text = (await ada.ask("GET", "/v1/events", params=params)).text
    assert f'"{red}"' in text
    assert blue not in text
    text = (await ada.ask("GET", "/v1/events", params=params | {"experiment": blue})).text
    assert "data:" not in text
    assert "argon2" not in (await gateway.http.get("/v1/events", params=params)).text


async def test_what_roles_may_do(gateway: Gateway) -> None:
    e = await gateway.submit()
    viewer = await person(gateway, "vera", default="viewer")
    editor = await person(gateway, "ed", default="editor")
    admin = await person(gateway, "ann", default="admin")
    path = f"/v1/experiments/{e}"
    assert await viewer.status("GET", path) == 200
    assert await viewer.status("POST", f"{path}/pause") == 403
    assert await viewer.status("POST", "/v1/bundles", content=b"x") == 403
    assert await editor.status("POST", f"{path}/pause") == 202
    member = "/v1/workspaces/default/members/vera"
    assert await editor.status("PUT", member, json={"role": "editor"}) == 403
    assert await admin.status("PUT", member, json={"role": "editor"}) == 204
    assert await viewer.status("POST", f"{path}/resume") == 202
    assert await admin.status("DELETE", member) == 204
    assert await viewer.status("GET", path) == 404
    for who in (viewer, editor, admin):
        assert await who.status("GET", "/v1/nodes") == 200
        for method, url in (
            ("GET", "/v1/users"), ("GET", "/v1/audit"), ("POST", "/v1/users"),
            ("POST", "/v1/workspaces"), ("DELETE", "/v1/users/ed"),
        ):  # fmt: skip
            assert await who.status(method, url) == 403, url


async def test_every_write_is_in_the_audit_log(gateway: Gateway) -> None:
    ada = await person(gateway, "ada", default="viewer")
    assert await ada.status("POST", "/v1/experiments", json={"config": CONFIG}) == 403
    assert await ada.status("GET", "/v1/experiments") == 200
    bad = {"user": "ada", "password": "no"}
    assert (await gateway.http.post("/v1/login", json=bad)).status_code == 401
    assert await ada.status("DELETE", "/v1/no%0d%0aSet-Cookie: x=1") == 404
    found = (await gateway.get("/v1/audit"))["items"]
    told = [(r["user"], r["method"], r["path"], r["status"]) for r in found]
    assert told == [
        ("ada", "DELETE", "/v1/no\r\nSet-Cookie: x=1", 404),
        ("local", "POST", "/v1/login", 401),
        ("ada", "POST", "/v1/experiments", 403),
        ("ada", "POST", "/v1/login", 200),
        ("local", "PUT", "/v1/workspaces/default/members/ada", 204),
        ("local", "POST", "/v1/users", 201),
    ]
    assert {r["address"] for r in found} == {"127.0.0.1"}
    first = await gateway.get("/v1/audit", limit=4)
    rest = await gateway.get("/v1/audit", limit=4, cursor=first["next"])
    assert first["items"] + rest["items"] == found
    assert rest["next"] is None
    assert len((await gateway.get("/v1/audit", user="ada"))["items"]) == 3


async def test_the_first_administrator_shows_what_was_printed(
    alone: Settings, bus: Callable[..., Awaitable[Bus]], capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(alone, await bus("test")) as gateway:
        note = capsys.readouterr().err
        token = re.search(r"shoal login --setup (shoal_\S+)", note)
        assert token is not None, note
        body = {"token": "shoal_x", "user": "ada", "password": PASSWORD}
        assert (await gateway.http.post("/v1/login/setup", json=body)).status_code == 403
        body["token"] = token[1]
        answer = await gateway.http.post("/v1/login/setup", json=body)
        assert answer.status_code == 201
        ada = Person(gateway, answer.json()["token"])
        assert await ada.status("GET", "/v1/users") == 200
        body["user"] = "eve"
        assert (await gateway.http.post("/v1/login/setup", json=body)).status_code == 403
    async with serving(alone, await bus("test")) as gateway:
        assert "setup" not in capsys.readouterr().err
        assert await Person(gateway, ada.token).status("GET", "/v1/me") == 200


async def test_the_file_of_this_machine(
    alone: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    here = alone.model_copy(update={"token_file": file})
    texts = []
    for _ in range(2):
        async with serving(here, await bus("test")) as gateway:
            texts.append(file.read_text().strip())
            assert file.stat().st_mode & 0o777 == 0o600
            assert await Person(gateway, texts[-1]).status("GET", "/v1/users") == 200
    assert texts[0] == texts[1]
    with pytest.raises(ValueError, match="loopback"):
        await main(here.model_copy(update={"host": "0.0.0.0"}))


async def test_replicas_decide_one_after_the_other(gateway: Gateway) -> None:
    async with replica(gateway) as one, replica(gateway) as two:
        commands = [
            (ledger, AddUser(f"u{n}", None, None, 0.0)) for n in range(20) for ledger in (one, two)
        ]
        found = await asyncio.gather(
            *(ledger.do(c) for ledger, c in commands), return_exceptions=True
        )
        assert sum(isinstance(f, ProblemError) and f.status == 409 for f in found) == 20
        assert sum(isinstance(f, list) for f in found) == 20
        for ledger in (one, two):
            await ledger.do(AddUser(f"last-{id(ledger)}", None, None, 0.0))
        assert len(two.state.users) == 23


async def test_too_much_is_refused(gateway: Gateway) -> None:
    http = gateway.http
    deep = b'{"config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer = await http.post("/v1/experiments", content=deep)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:shoal:problem:body")
    big = b" " * (9 * 2**20)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield big[: 2**20]

    for content in (big, pieces()):
        answer = await http.post("/v1/experiments", content=content)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:shoal:problem:body")
    assert (await http.post("/v1/experiments", json={"config": CONFIG})).status_code == 201


@pytest.mark.parametrize(
    ("trusted", "told"),
    [
        (None, "198.51.100.7"),
        ("10.0.0.0/8, 127.0.0.0/8", "198.51.100.7"),
        ("10.0.0.0/8", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
async def test_a_proxy_that_is_believed_says_who_asks(
    alone: Settings,
    bus: Callable[..., Awaitable[Bus]],
    tmp_path: Path,
    trusted: str | None,
    told: str,
) -> None:
    some: dict[str, Any] = {"token_file": tmp_path / "token", "login_rate": 0.01}
    some |= {} if trusted is None else {"forwarded_allow_ips": trusted}
    body = {"user": "eve", "password": "guess"}
    async with up(alone.model_copy(update=some), await bus("test")) as gateway:
        for n in range(11):
            headers = {"X-Forwarded-For": f"203.0.113.9, {told if n == 10 else '198.51.100.8'}"}
            answer = await gateway.http.post("/v1/login", json=body, headers=headers)
        assert answer.status_code == (401 if told != "127.0.0.1" else 429)
        last = (await gateway.get("/v1/audit"))["items"][0]
        assert last["address"] == told


async def test_too_many_are_told_to_wait(
    alone: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path
) -> None:
    few = {"token_file": tmp_path / "token", "rate_limit": 2.0, "login_rate": 0.01}
    async with serving(alone.model_copy(update=few), await bus("test")) as gateway:
        owner = Person(gateway, (tmp_path / "token").read_text().strip())
        answers = [await owner.ask("GET", "/v1/me") for _ in range(10)]
        assert answers[0].status_code == 200
        late = [a for a in answers if a.status_code == 429]
        assert late
        assert all(int(a.headers["retry-after"]) >= 1 for a in late)
        body = {"user": "eve", "password": "guess"}
        tries = [await gateway.http.post("/v1/login", json=body) for _ in range(11)]
        assert [t.status_code for t in tries] == [401] * 10 + [429]
        assert int(tries[-1].headers["retry-after"]) > 60
