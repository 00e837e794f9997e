"""What a caller of the gateway sees."""

import asyncio
import io
import json
import socket
import tarfile
import zipfile
from typing import Any

import pytest

from shoal_contract.config import Resources
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    Event,
    InstanceRequested,
    LogWritten,
    NodeAdmitted,
    Placement,
    Rendezvous,
    SearchCancelled,
    Slot,
    Task,
    TrialCreated,
    TrialMeasured,
    TrialRequested,
    ValidationReported,
)
from shoal_contract.states import Outcome
from shoal_gateway.__main__ import main
from shoal_gateway.settings import Settings

from .conftest import CONFIG, Gateway

PROBLEM = "application/problem+json"


def tar(name: str = "train.py", kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member, io.BytesIO(b""))
    return out.getvalue()


async def publish(gateway: Gateway, *events: Event) -> None:
    for event in events:
        text = event.model_dump_json()
        await gateway.bus.publish(event, id=f"{event.type}-{hash(text)}")


def trial_events(e: str) -> list[Event]:
    t, a = f"{e}-0", f"{e}-0-a1"
    resources = Resources()
    task = Task(
        experiment_id=e, trial_id=t, attempt=1, entrypoint=["x"], bundle=None,
        hyperparameters={"lr": 0.1}, seed=1, environment={}, metric="loss", smaller_is_better=True,
        time_metric="step", target=10, storage_url="file:///s", checkpoint=None,
    )  # fmt: skip
    place = Placement(node_id="n1", incarnation="i1", slots=[0, 1])
    slots = [Slot(number=i, kind="cpu", model="cpu") for i in range(2)]
    common: dict[str, Any] = {"experiment_id": e, "trial_id": t}
    return [
        NodeAdmitted(
            node_id="n1", incarnation="i1", pool="default", host="h", slots=slots, ports=[],
            instance_id=None,
        ),
        TrialCreated(**common, number=0, hyperparameters={"lr": 0.1}, seed=1),
        TrialRequested(**common, attempt=1, task=task, resources=resources),
        AllocationQueued(**common, allocation_id=a, task=task, resources=resources),
        AllocationGranted(
            **common, allocation_id=a, attempt=1, placements=[place], at=1.0,
            rendezvous=Rendezvous(host="h", port=1),
        ),
        TrialMeasured(**common, step=2, time=2, metric=0.5, rung=0),
        TrialMeasured(**common, step=4, time=4, metric=0.7, rung=1),
        ValidationReported(
            **common, allocation_id=a, attempt=1, step=2, time=2, metrics={"loss": 0.5}, at=2.0
        ),
    ]  # fmt: skip


async def test_what_was_accepted_can_be_read_at_once(gateway: Gateway) -> None:
    response = await gateway.http.post("/v1/experiments", json={"config": CONFIG, "bundle": None})
    assert response.status_code == 201
    found = await gateway.get(response.headers["Location"])
    assert found["name"] == "digits"
    assert found["state"] == "active"
    assert found["storage_url"].endswith(found["experiment_id"])
    assert (await gateway.http.get("/v1/experiments/nope22")).status_code == 404


async def test_pages_go_from_new_to_old(gateway: Gateway) -> None:
    ids = [await gateway.submit(name=f"e{i}") for i in range(5)]
    first = await gateway.get("/v1/experiments", limit=2)
    await gateway.submit(name="newer")
    second = await gateway.get("/v1/experiments", limit=2, cursor=first["next"])
    third = await gateway.get("/v1/experiments", limit=2, cursor=second["next"])
    seen = [e["experiment_id"] for page in (first, second, third) for e in page["items"]]
    assert seen == ids[::-1]
    assert third["next"] is None


async def test_a_bad_config_is_explained(gateway: Gateway) -> None:
    bad = CONFIG | {"searcher": CONFIG["searcher"] | {"max_trails": 3}}
    response = await gateway.http.post("/v1/experiments", json={"config": bad})
    assert response.status_code == 422
    assert response.headers["content-type"] == PROBLEM
    error = response.json()["errors"][0]
    assert (error["path"], error["suggestion"]) == ("searcher.max_trails", "max_trials")


async def test_every_error_is_a_problem(gateway: Gateway) -> None:
    http = gateway.http
    answers = [
        (await http.get("/v1/nothing"), 404),
        (await http.delete("/v1/experiments"), 405),
        (await http.get("/v1/experiments?limit=x"), 422),
        (await http.get("/v1/experiments?cursor=%21"), 422),
        (await http.post("/v1/experiments", content=b"{"), 415),
        (await http.put("/v1/experiments", json={}), 405),
        (await http.post("/v1/experiments/nope22/pause"), 404),
        (await http.get("/v1/events", headers={"Last-Event-ID": "x"}), 400),
    ]
    for response, status in answers:
        assert response.status_code == status
        assert response.headers["content-type"] == PROBLEM
        assert response.json()["status"] == status
        assert response.json()["type"].startswith("urn:shoal:problem:")
    assert answers[-3][0].headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("path", "headers", "status", "field"),
    [
        ("/v1/experiments?cursor=%21", {}, 422, "cursor"),
        ("/v1/experiments?sort=x", {}, 422, "sort"),
        ("/v1/experiments", {"Shoal-After": "x"}, 400, "Shoal-After"),
        ("/v1/events", {"Last-Event-ID": "x"}, 400, "Last-Event-ID"),
        ("/v1/cost?since=x", {}, 422, "since"),
        ("/v1/experiments/ID/logs?regex=(", {}, 422, "regex"),
    ],
)
async def test_a_problem_names_what_is_wrong(
    gateway: Gateway, path: str, headers: dict[str, str], status: int, field: str
) -> None:
    e = await gateway.submit()
    answer = await gateway.http.get(path.replace("ID", e), headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, "urn:shoal:problem:request")
    assert [error["path"] for error in problem["errors"]] == [field]
    assert problem["detail"].endswith(".") or "takes one of" in problem["detail"]


async def test_a_key_submits_once(gateway: Gateway) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"config": CONFIG, "bundle": None}
    first, second = [
        await gateway.http.post("/v1/experiments", json=body, headers=headers) for _ in range(2)
    ]
    assert first.json() == second.json()
    assert len((await gateway.get("/v1/experiments"))["items"]) == 1
    other = {"config": CONFIG | {"name": "other"}, "bundle": None}
    third = await gateway.http.post("/v1/experiments", json=other, headers=headers)
    assert third.status_code == 409


async def test_bundles(gateway: Gateway) -> None:
    packed = tar()  # once: it has the second in it
    stored = [await gateway.http.post("/v1/bundles", content=packed) for _ in range(2)]
    assert stored[0].json() == stored[1].json()
    bundle = stored[0].json()
    assert (gateway.storage / "bundles" / f"{bundle['sha256']}.tar.gz").stat().st_size == bundle[
        "size"
    ]
    body = {"config": CONFIG, "bundle": bundle["sha256"]}
    created = await gateway.http.post("/v1/experiments", json=body)
    found = await gateway.get(created.headers["Location"])
    assert found["bundle"] == bundle
    for bad in (tar("/etc/x"), tar("a/../../x"), tar("l", tarfile.SYMTYPE), b"no tar"):
        response = await gateway.http.post("/v1/bundles", content=bad)
        assert response.status_code == 422
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("train.py", "print(1)")
    other = (await gateway.http.post("/v1/bundles", content=packed.getvalue())).json()
    assert other["url"].endswith(f"{other['sha256']}.zip")
    body = {"config": CONFIG, "bundle": other["sha256"]}
    assert (await gateway.http.post("/v1/experiments", json=body)).status_code == 201
    missing = {"config": CONFIG, "bundle": "0" * 64}
    assert (await gateway.http.post("/v1/experiments", json=missing)).status_code == 422


async def test_events_of_other_services_show_up_and_survive_the_loss_of_redis(
    gateway: Gateway,
) -> None:
    e = await gateway.submit()
    await publish(gateway, *trial_events(e))
    base = f"/v1/experiments/{e}"
    trial = await gateway.until(f"{base}/trials/{e}-0", lambda t: t["time"] == 4 and t["running"])
    assert (trial["state"], trial["rung"], trial["slots"]) == ("wanted", 1, 2)
    assert trial["best"] == {"metric": 0.5, "step": 2, "time": 2}
    metrics = await gateway.until(f"{base}/metrics", lambda m: m["items"])
    assert [p["metrics"] for p in metrics["items"]] == [{"loss": 0.5}]
    node = (await gateway.get("/v1/nodes"))["items"][0]
    assert (node["used"], node["trials"]) == (2, [f"{e}-0"])
    assert (await gateway.get("/v1/queue"))["items"] == []

    ended = AllocationEnded(
        experiment_id=e, allocation_id=f"{e}-0-a1", trial_id=f"{e}-0", attempt=1,
        outcome=Outcome.PREEMPTED, reason="spot", slots=2, seconds=3.0,
    )  # fmt: skip
    await publish(gateway, ended)
    await publish(
        gateway,
        InstanceRequested(pool="default", instance_id="m1", slots=2, reason="demand", at=5.0),
    )
    await gateway.until("/v1/instances", lambda i: i["items"])
    trial = await gateway.until(f"{base}/trials/{e}-0", lambda t: t["preemptions"] == 1)
    assert (trial["slot_seconds"], trial["running"]) == (6.0, False)

    paths = [base, f"{base}/trials", f"{base}/metrics", "/v1/nodes", "/v1/instances"]
    before = [await gateway.get(path) for path in paths]
    await gateway.redis.flushall()
    for path, rows in zip(paths, before, strict=True):
        await gateway.until(path, lambda found, rows=rows: found == rows)  # type: ignore[misc]
    await publish(gateway, trial_events(e)[6].model_copy(update={"step": 6, "time": 6}))
    await gateway.until(f"{base}/trials/{e}-0", lambda t: t["time"] == 6)


async def test_what_has_ended_takes_no_requests(gateway: Gateway) -> None:
    e = await gateway.submit()
    response = await gateway.http.post(f"/v1/experiments/{e}/pause")
    assert response.status_code == 202
    await publish(gateway, SearchCancelled(experiment_id=e, reason="asked", trials=0))
    await gateway.until(f"/v1/experiments/{e}", lambda x: x["state"] == "cancelled")
    assert (await gateway.http.post(f"/v1/experiments/{e}/resume")).status_code == 409


async def test_logs_are_read_from_where_one_was(gateway: Gateway) -> None:
    e = await gateway.submit()
    assert (await gateway.get(f"/v1/experiments/{e}/logs"))["items"] == []
    for i in range(3):
        log = LogWritten(
            experiment_id=e, trial_id=f"{e}-{i % 2}", allocation_id="a", rank=0, stream="stdout",
            lines=[f"line {i}"], sequence=i, at=1.0,
        )  # fmt: skip
        await publish(gateway, log)
    first = await gateway.get(f"/v1/experiments/{e}/logs", limit=2)
    rest = await gateway.get(f"/v1/experiments/{e}/logs", after=first["next"])
    assert [p["lines"] for p in first["items"] + rest["items"]] == [[f"line {i}"] for i in range(3)]
    created = trial_events(e)[1].model_copy(update={"trial_id": f"{e}-1", "number": 1})
    await publish(gateway, created)
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-1", lambda t: t["trial_id"])
    one = await gateway.get(f"/v1/experiments/{e}/logs", trial=f"{e}-1")
    assert [p["lines"] for p in one["items"]] == [["line 1"]]


async def read(
    gateway: Gateway,
    count: int,
    last: str | None = None,
    begun: asyncio.Event | None = None,
    **params: Any,
) -> Any:
    """The first `count` events of a stream of them, and the id of the last. Sets `begun` when the
    gateway has said from where on it tells."""
    headers = {"Last-Event-ID": last} if last else {}
    found: list[dict[str, Any]] = []
    async with (
        asyncio.timeout(10),
        gateway.http.stream("GET", "/v1/events", params=params, headers=headers) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                last = line[4:]
                if begun is not None:
                    begun.set()
            elif line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if len(found) == count:
                    break
    return found, last


async def test_a_broken_event_stream_goes_on_where_it_broke(gateway: Gateway) -> None:
    e = await gateway.submit()
    events = trial_events(e)
    await publish(gateway, *events)
    everything, _ = await read(gateway, 100, since="start", follow=False)
    assert [x["type"] for x in everything] == ["experiment.submitted"] + [x.type for x in events]
    head, last = await read(gateway, 4, since="start")
    tail, _ = await read(gateway, 5, last)
    assert head + tail == everything
    other = await gateway.submit(name="other")
    mine, _ = await read(gateway, 100, since="start", follow=False, experiment=other)
    assert [x["type"] for x in mine] == ["experiment.submitted"]
    some, _ = await read(gateway, 100, since="start", follow=False, type=["trial.m", "metric."])
    assert [x["type"] for x in some] == ["trial.measured"] * 2 + ["metric.validation"]


async def test_events_come_as_they_happen(gateway: Gateway) -> None:
    begun = asyncio.Event()
    reading = asyncio.create_task(read(gateway, 1, begun=begun))
    await asyncio.wait_for(begun.wait(), 10)
    e = await gateway.submit()
    found, _ = await reading
    assert found[0]["data"]["experiment_id"] == e


async def test_numbers_for_prometheus(gateway: Gateway) -> None:
    await gateway.submit()
    await gateway.bus.js.publish("shoal.v1.search.paused.x", b"{", stream="SHOAL_SEARCH")
    for _ in range(50):
        text = (await gateway.http.get("/metrics")).text
        if "shoal_dead_letters 1" in text and 'lag{stream="SHOAL_SEARCH"} 0' in text:
            break
        await asyncio.sleep(0.1)
    assert "shoal_dead_letters 1" in text
    assert 'shoal_projector_lag{stream="SHOAL_SEARCH"} 0' in text
    assert 'shoal_stream_messages{stream="SHOAL_EXPERIMENTS"} 1' in text
    assert 'shoal_metric_points_bytes{stream="SHOAL_TRAINING"} 0' in text
    assert (await gateway.http.get("/livez")).json()["status"] == "alive"


async def test_answers_are_counted_by_route_and_status(gateway: Gateway) -> None:
    e = await gateway.submit()
    for name in (e, e, "nope22"):
        await gateway.http.get(f"/v1/experiments/{name}")
    await gateway.http.get("/v1/experiments", headers={"Authorization": "Bearer no"})
    text = (await gateway.http.get("/metrics")).text
    for method, route, status, count in (
        ("GET", "/v1/experiments/{experiment_id}", 200, 2),
        ("GET", "/v1/experiments/{experiment_id}", 404, 1),
        ("POST", "/v1/experiments", 201, 1),
        ("GET", "none", 401, 1),
    ):
        labels = f'method="{method}",route="{route}",status="{status}"'
        for what in (f"count{{{labels}}}", f'bucket{{{labels},le="+Inf"}}'):
            assert f"shoal_http_request_duration_seconds_{what} {count}\n" in text


async def test_a_port_that_is_taken_ends_the_gateway(alone: Settings) -> None:
    said = f"cannot listen on 127.0.0.1:{alone.port}"
    with (
        socket.create_server(("127.0.0.1", alone.port)),
        pytest.raises(OSError, match=said),
    ):
        await main(alone)
