"""MLflow's API as bytes: what is plain, what is not, and what one reads right after."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from integration.gateway.test_access import person
from ports import free_port

from shoal_bus.bus import Bus
from shoal_contract.events import MetricLogged
from shoal_contract.subjects import TRACKED, all_of
from shoal_gateway.settings import Settings

from .conftest import Gateway, serving, up

API = "/mlflow/api/2.0/mlflow"
NOW = 1_700_000_000_000


@pytest.fixture
async def run(gateway: Gateway) -> str:
    return await begun(gateway.http)


async def begun(http: httpx.AsyncClient, name: str = "e") -> str:
    """A new run's id."""
    made = (await http.post(f"{API}/experiments/create", json={"name": name})).json()
    body = {"experiment_id": made["experiment_id"], "start_time": NOW}
    answer = await http.post(f"{API}/runs/create", json=body)
    return str(answer.json()["run"]["info"]["run_id"])


async def send(http: httpx.AsyncClient, path: str, body: str) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await http.post(f"{API}/runs/{path}", content=body.encode(), headers=headers)


async def history(http: httpx.AsyncClient, run: str, key: str) -> list[tuple[Any, int, int]]:
    params = {"run_id": run, "metric_key": key}
    answer = await http.get(f"{API}/metrics/get-history", params=params)
    assert answer.status_code == 200, answer.text
    return [(m["value"], m["step"], m["timestamp"]) for m in answer.json()["metrics"]]


def metric(value: str, step: str = "3") -> str:
    return f'{{"key": "k", "value": {value}, "timestamp": {NOW}, "step": {step}}}'


@pytest.mark.parametrize(
    ("value", "step", "told"),
    [
        ("0.5", "3", (0.5, 3)),
        ("2", "0", (2.0, 0)),
        ('"0.25"', '"4"', (0.25, 4)),
        ('"NaN"', "3", ("NaN", 3)),
        ("NaN", "3", ("NaN", 3)),
        ('"Infinity"', "3", ("Infinity", 3)),
        ("-Infinity", "-7", ("-Infinity", -7)),
    ],
)
async def test_numbers_are_the_same_alone_and_in_a_batch(
    gateway: Gateway, run: str, value: str, step: str, told: tuple[Any, int]
) -> None:
    alone = f'{{"run_id": "{run}", "run_uuid": "{run}", {metric(value, step)[1:]}'
    batch = f'{{"run_id": "{run}", "metrics": [{metric(value, step)}]}}'
    for path, body in (("log-metric", alone), ("log-batch", batch)):
        answer = await send(gateway.http, path, body)
        assert (answer.status_code, answer.json()) == (200, {}), answer.text
    assert await history(gateway.http, run, "k") == [(*told, NOW)] * 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("log-metric", '{"key": "k", "value": 1.0, "timestamp": 1}'),
        ("log-metric", '{"run_id": "RUN", "key": "", "value": 1.0, "timestamp": 1}'),
        ("log-metric", '{"run_id": "RUN", "key": "k", "value": "x", "timestamp": 1}'),
        ("log-metric", f'{{"run_id": "RUN", "key": "k", "value": 1.0, "timestamp": {2**63}}}'),
        ("log-parameter", '{"run_id": "RUN", "key": "k", "value": 3}'),
        ("set-tag", f'{{"run_id": "RUN", "key": "k", "value": "{"x" * 8001}"}}'),
        ("log-batch", '{"run_id": "RUN", "metrics": [{"key": "k", "value": 1.0}]}'),
        ("log-batch", f'{{"run_id": "RUN", "metrics": [{",".join([metric("1.0")] * 1001)}]}}'),
        ("log-batch", '{"run_id": "RUN", "metrics": '),
    ],
)
async def test_what_is_wrong_is_told_as_before_and_nothing_is_kept(
    gateway: Gateway, run: str, path: str, body: str
) -> None:
    answer = await send(gateway.http, path, body.replace("RUN", run))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert (await gateway.bus.extent(TRACKED))[0] == 0


async def test_a_run_of_nobody_or_of_others_is_none(gateway: Gateway, run: str) -> None:
    assert (await send(gateway.http, "set-tag", body(run))).status_code == 200
    assert (await send(gateway.http, "set-tag", body("0" * 32))).status_code == 404
    eve = await person(gateway, "eve")
    answer = await eve.ask("POST", f"{API}/runs/set-tag", json=json.loads(body(run)))
    assert answer.status_code == 404
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        assert (await send(http, "set-tag", body(run))).status_code == 401


def body(run: str) -> str:
    return json.dumps({"run_id": run, "key": "k", "value": "v"})


@pytest.fixture
async def another(
    gateway: Gateway,
    alone: Settings,
    bus: Callable[..., Awaitable[Bus]],
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[Gateway]:
    """A second gateway, with a Redis of its own."""
    changes = {
        "redis_url": f"{redis_url[:-1]}1", "port": free_port(), "replica": "gateway-1",
        "token_file": tmp_path / "another",
    }  # fmt: skip
    async with serving(alone.model_copy(update=changes), await bus("test", "other")) as made:
        made.http.headers["Authorization"] = gateway.http.headers["Authorization"]
        yield made


async def test_what_was_acknowledged_is_in_the_stream_and_shown_to_who_asks_next(
    gateway: Gateway, another: Gateway, run: str
) -> None:
    """At every gateway, though nobody waits for the read models when it is logged."""
    total = 0
    for turn in range(20):
        points = [
            json.loads(metric(str(float(turn * 50 + n)), str(turn * 50 + n))) for n in range(50)
        ]
        said = json.dumps({"run_id": run, "metrics": points})
        assert (await send(gateway.http, "log-batch", said)).status_code == 200
        total += len(points)
        newest = await gateway.bus.newest(TRACKED, all_of(MetricLogged.type, "*", run))
        assert newest is not None
        assert isinstance(newest.event, MetricLogged)
        assert newest.event.points[-1][2] == total - 1
        found = await asyncio.gather(*(history(g.http, run, "k") for g in (another, gateway)))
        wanted = [(float(n), n, NOW) for n in range(total)]
        assert found == [wanted, wanted]
    params = {"run_id": run}
    shown = (await another.http.get(f"{API}/runs/get", params=params)).json()["run"]["data"]
    assert [(m["value"], m["step"]) for m in shown["metrics"]] == [(total - 1, total - 1)]


FILES = "/mlflow/api/2.0/mlflow-artifacts/artifacts"


async def place(http: httpx.AsyncClient, run: str) -> str:
    """Where a run's artifacts are."""
    info = (await http.get(f"{API}/runs/get", params={"run_id": run})).json()["run"]["info"]
    return str(info["artifact_uri"]).removeprefix("mlflow-artifacts:/")


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2f..%2f..%2fbundles%2fx", "a/%2e%2e/%2e%2e/x", "a%5c..%5cx", "a//b", "%00",
        "a%09b", "%2e/x", "", "x" * 256, "/etc/passwd", "/".join(["y" * 200] * 6),
    ],
)  # fmt: skip
async def test_no_artifact_leads_out_of_its_run(gateway: Gateway, run: str, path: str) -> None:
    url = f"{gateway.url.rstrip('/')}{FILES}/{await place(gateway.http, run)}/"
    for method in ("PUT", "GET"):
        request = gateway.http.build_request(method, url, content=b"x")
        request.url = request.url.copy_with(raw_path=f"{request.url.path}{path}".encode())
        answer = await gateway.http.send(request)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert not (gateway.storage / "artifacts").exists()


async def test_a_link_in_storage_leads_nowhere(gateway: Gateway, run: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    where = await place(gateway.http, run)
    folder = gateway.storage / "artifacts" / where
    folder.mkdir(parents=True)
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    for path in ("file", "folder/secret"):
        assert (await gateway.http.get(f"{FILES}/{where}/{path}")).status_code == 404
        assert (await gateway.http.put(f"{FILES}/{where}/folder/x", content=b"")).status_code == 404
    listed = await gateway.http.get(FILES, params={"path": f"{where}/folder"})
    assert listed.status_code == 404


async def test_artifacts_are_for_those_who_see_the_run(gateway: Gateway, run: str) -> None:
    where = await place(gateway.http, run)
    assert (await gateway.http.put(f"{FILES}/{where}/x", content=b"1")).status_code == 200
    assert (await gateway.http.put(f"{FILES}/{where}/x/y", content=b"1")).status_code == 400
    assert (await gateway.http.put(f"{FILES}/{where}/z/y", content=b"1")).status_code == 200
    assert (await gateway.http.put(f"{FILES}/{where}/z", content=b"1")).status_code == 400
    assert (await gateway.http.put(f"{FILES}/{where}", content=b"1")).status_code == 400
    other = f"{FILES}/{'0' * 18}/{where.partition('/')[2]}/x"
    assert (await gateway.http.get(other)).status_code == 404
    eve, vera = await person(gateway, "eve"), await person(gateway, "vera", default="viewer")
    for who, statuses in ((eve, [404, 404, 404]), (vera, [200, 200, 403])):
        assert statuses == [
            await who.status("GET", f"{FILES}/{where}/x"),
            await who.status("GET", FILES, params={"path": where}),
            await who.status("PUT", f"{FILES}/{where}/x", content=b"2"),
        ]
    answer = await gateway.http.get(f"{FILES}/{where}/x")
    assert (answer.content, answer.headers["content-length"]) == (b"1", "1")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_artifact_has_a_limit_of_its_own(
    alone: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path
) -> None:
    some = {"token_file": tmp_path / "token", "max_body": 1000, "max_artifact": 5000}
    async with up(alone.model_copy(update=some), await bus("test")) as gateway:
        where = await place(gateway.http, await begun(gateway.http))
        for size, status in ((5000, 200), (5001, 413)):
            answer = await gateway.http.put(f"{FILES}/{where}/x", content=bytes(size))
            assert answer.status_code == status
        assert len((await gateway.http.get(f"{FILES}/{where}/x")).content) == 5000
