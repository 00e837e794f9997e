"""The platform: does it answer, does it know us, are there slots."""

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from shoal.answers.machines import NodeRow, PoolRow, SlotRow
from shoal.asking import ShoalError
from shoal.checkup.finding import Finding, fail, ok, warn
from shoal.client import Client
from shoal.words import counted
from shoal_contract.events.shapes import gigabytes

SKEW = 5.0
"""Seconds by which clocks may differ, before events seem to be in another order."""


def answers(url: str, version: str) -> tuple[bool, list[Finding]]:
    """Whether a gateway is there, and what it says of itself."""
    try:
        with httpx.Client(base_url=url, timeout=10) as http:
            began = time.time()
            alive = http.get("/livez")
            seconds = time.time() - began
            ready = http.get("/readyz")
    except httpx.HTTPError as error:
        todo = "start one with `shoal up`, or set SHOAL_URL"
        return False, [fail("Gateway", f"none answers at {url} ({error})", todo)]
    try:
        said = alive.json()["status"]
    except (ValueError, KeyError, TypeError):
        said = None
    if said != "alive":
        return False, [fail("Gateway", f"what answers at {url} is no Shoal", "set SHOAL_URL")]
    theirs = str(alive.json().get("version", version))
    found = [
        ok("Gateway", f"answers at {url} in {seconds * 1000:.0f} ms"),
        _version(theirs, version),
        _clock(alive.headers, began + seconds / 2),
        _ready(ready),
    ]
    return True, found


def knows(client: Client) -> tuple[bool, Finding]:
    """Whether the token counts, and for what."""
    try:
        me = client.me()
    except ShoalError as error:
        return False, fail("Login", str(error).rstrip("."), "`shoal login`, or set SHOAL_TOKEN")
    roles = [f"{role} of {name}" for name, role in me["workspaces"].items()]
    if me["role"] is not None:
        roles.insert(0, f"{me['role']} of the cluster")
    if not roles:
        todo = "ask an administrator for a role in a workspace"
        return True, warn("Login", f"as {me['user']}, who may do nothing", todo)
    return True, ok("Login", f"as {me['user']}: {', '.join(roles)}")


def slots(nodes: list[NodeRow]) -> Finding:
    """Whether there is anything to train on."""
    live = [n for n in nodes if n["state"] == "ready"]
    total, used = sum(len(n["slots"]) for n in live), sum(n["used"] for n in live)
    if not total:
        todo = "start a worker, or a pool that provisions machines"
        return warn("Slots", "no node is ready: experiments wait", todo)
    return ok("Slots", f"{total} on {counted(len(live), 'node')}, {total - used} of them free")


def pools(
    config: Mapping[str, Any], nodes: list[NodeRow], served: list[PoolRow]
) -> Iterator[Finding]:
    """Whether the pools of a file are there, with slots as it wants them."""
    resources = config["resources"]
    wanted = (resources.get("slots") or {}).get("min") or resources["slots_per_trial"]
    kind, memory = resources.get("slot_type"), resources.get("slot_memory")
    grows = {p["pool"] for p in served if not p["draining"]}
    for name in resources.get("resource_pools") or [resources["resource_pool"]]:
        inside = [n for n in nodes if n["pool"] == name and n["state"] == "ready"]
        fitting = sum(_suits(slot, resources) for node in inside for slot in node["slots"])
        what = f"Pool {name}"
        of = f" of {kind}" if kind else ""
        of += f" of {memory} GB or more" if memory else ""
        has = f"has {counted(fitting, 'slot')}{of}"
        if fitting >= wanted:
            yield ok(what, f"{has}; a trial takes {wanted}")
        elif name in grows:
            yield ok(what, f"{has}, and starts machines when they are wanted")
        else:
            known = sorted({n["pool"] for n in nodes if n["state"] == "ready"} | grows)
            todo = f"there are the pools {', '.join(known) or '(none)'}: see resources in the file"
            yield fail(what, f"{has}; a trial takes {wanted}", todo)


def _suits(slot: SlotRow, resources: Mapping[str, Any]) -> bool:
    kind, memory = resources.get("slot_type"), resources.get("slot_memory") or 0
    return (kind is None or kind in slot["model"]) and gigabytes(slot["memory"]) >= memory


def _version(theirs: str, ours: str) -> Finding:
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        todo = f"pip install 'shoal-sdk=={theirs}'"
        return warn("Version", f"the platform has {theirs}, the command {ours}", todo)
    return ok("Version", theirs)


def _clock(headers: Mapping[str, str], now: float) -> Finding:
    try:
        skew = now - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return warn("Clock", "the platform does not tell its time", "compare them by hand")
    if abs(skew - 0.5) > SKEW:  # the header's second began half a second ago, on average
        todo = "let both machines keep time by NTP"
        return warn("Clock", f"this machine's differs from the platform's by {skew:.0f} s", todo)
    return ok("Clock", "agrees with the platform's")


def _ready(response: httpx.Response) -> Finding:
    if response.status_code == 200:
        return ok("Ready", "NATS, Redis and the read models")
    try:
        why = str(response.json()["detail"]).rstrip(".")
    except (ValueError, KeyError, TypeError):
        why = f"it answers {response.status_code}"
    return fail("Ready", why, "look at the logs of the gateway, NATS and Redis")
