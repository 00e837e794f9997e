"""One answer over the metric points in Redis and in files, whatever happens to either."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shoal import AsyncClient
from shoal_bus.bus import Bus
from shoal_contract.events import Earlier, Event, TrainingReported, TrialCreated, ValidationReported
from shoal_contract.subjects import DEAD_LETTERS, TRACKED, TRAINING, Stream
from shoal_gateway.settings import Settings
from shoal_gateway.shell import history_reader
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.history_reader import HistoryReader, Query
from shoal_gateway.shell.history_writer import HistoryWriter
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.recent import Recent
from shoal_gateway.shell.redis_store import RedisStore

from .conftest import Gateway, serving
from .test_access import person, workspaces
from .test_mlflow_api import API, begun

SOON = 0.3
"""Seconds after which points are put into files here."""


@pytest.fixture
async def hasty(
    alone: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path
) -> AsyncIterator[Gateway]:
    """A gateway that soon puts points into files."""
    file = tmp_path / "token"
    settings = alone.model_copy(update={"token_file": file, "metrics_seconds": SOON})
    async with serving(settings, await bus("test")) as made:
        made.http.headers["Authorization"] = f"Bearer {file.read_text().strip()}"
        yield made


def training(e: str, step: int, **changes: Any) -> TrainingReported:
    body = {
        "experiment_id": e, "trial_id": f"{e}-0", "allocation_id": "a", "attempt": 1,
        "step": step, "metrics": {"loss": float(step)}, "at": float(step),
    }  # fmt: skip
    return TrainingReported(**body | changes)


def before(step: int) -> Earlier:
    return Earlier(step=step, metrics={"loss": float(step)}, at=float(step))


async def publish(bus: Bus, *events: Event) -> None:
    for event in events:
        await bus.publish(event, id=f"{event.type}-{hash(event.model_dump_json())}")


async def experiment(gateway: Gateway, trials: int = 1, **config: Any) -> str:
    e = await gateway.submit(**config)
    for n in range(trials):
        made = TrialCreated(
            experiment_id=e, trial_id=f"{e}-{n}", number=n, hyperparameters={}, seed=1
        )
        await publish(gateway.bus, made)
    await gateway.until(f"/v1/experiments/{e}/trials", lambda t: len(t["items"]) == trials)
    return e


async def in_files(gateway: Gateway, sequence: int, stream: Stream = TRAINING) -> None:
    """Wait until the reports of a stream are in files up to a sequence."""
    for _ in range(200):
        names = [f.name for f in (gateway.storage / "metrics" / stream.name).rglob("*.parquet")]
        ends = [int(n[21:41]) for n in names]
        if ends and max(ends) >= sequence:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{names} do not reach {sequence}")


async def test_points_are_the_same_in_redis_in_files_and_after_the_loss_of_redis(
    hasty: Gateway,
) -> None:
    e = await experiment(hasty, 2)
    await publish(
        hasty.bus,
        training(e, 1),
        training(e, 4, earlier=[before(2), before(3)]),
        training(e, 5),
        training(e, 5, attempt=2, metrics={"loss": float("nan"), "acc": 0.5}, earlier=[before(4)]),
        training(e, 2, trial_id=f"{e}-1"),
        training(e, 3, group="system", source="n1", metrics={"cpu": 0.25}),
        training(e, 3, group="system", source="n1", metrics={"cpu": 0.75}, at=4.0),
        training(e, 3, group="validation", metrics={"f1": 0.9}),
        ValidationReported(
            experiment_id=e, trial_id=f"{e}-0", allocation_id="a", attempt=1, step=4, time=2,
            metrics={"loss": 0.1}, at=5.0,
        ),
    )  # fmt: skip
    base = f"/v1/experiments/{e}/metrics"

    def told(answer: Any) -> list[Any]:
        return [(i["trial_id"][-1], i["step"], i["metrics"]) for i in answer["items"]]

    questions: dict[str, list[Any]] = {
        f"{base}?group=training": [
            *(("0", step, {"loss": float(step)}) for step in range(1, 5)),
            ("0", 5, {"loss": "NaN", "acc": 0.5}),
            ("1", 2, {"loss": 2.0}),
        ],
        f"{base}?group=training&trials={e}-1": [("1", 2, {"loss": 2.0})],
        f"{base}?group=training&name=loss&since_step=4": [("0", 5, {"loss": "NaN"})],
        f"{base}?group=system": [("0", 3, {"cpu": 0.25}), ("0", 3, {"cpu": 0.75})],
        base: [("0", 3, {"f1": 0.9}), ("0", 4, {"loss": 0.1})],
    }

    async def same() -> None:
        for path, wanted in questions.items():
            await hasty.until(path, lambda found, wanted=wanted: told(found) == wanted)  # type: ignore[misc]

    await same()
    await in_files(hasty, 8)
    await same()
    await hasty.redis.flushall()
    await hasty.until(f"/v1/experiments/{e}/trials", lambda t: len(t["items"]) == 2)
    await same()
    await publish(hasty.bus, training(e, 6))
    await hasty.until(f"{base}?group=training&since_step=5", lambda m: len(m["items"]) == 1)
    asked = {"group": "training", "superseded": True, "since_step": 4, "name": "loss"}
    again = await hasty.get(base, **asked)
    assert [(i["attempt"], i["superseded"]) for i in again["items"]] == [
        (1, True), (2, False), (1, False),
    ]  # fmt: skip


async def test_many_points_are_drawn_with_few_or_exported_whole(hasty: Gateway) -> None:
    e = await experiment(hasty)
    count = 1500
    await asyncio.gather(*(publish(hasty.bus, training(e, step)) for step in range(count)))
    base = f"/v1/experiments/{e}/metrics?group=training"
    every = await hasty.until(f"{base}&points=0", lambda m: len(m["items"]) == count)
    drawn = (await hasty.http.get(f"{base}&points=50")).json()["items"]
    assert 20 < len(drawn) <= 50
    assert drawn[0] == every["items"][0]
    assert drawn[-1] == every["items"][-1]
    answer = await hasty.http.get(f"{base}&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    table = pl.read_csv(answer.content)
    assert table.columns[:3] == ["trial_id", "group", "name"]
    assert table["value"].to_list() == [float(step) for step in range(count)]
    answer = await hasty.http.get(f"{base}&format=parquet&name=loss")
    assert pl.read_parquet(io.BytesIO(answer.content))["step"].to_list() == list(range(count))
    assert (await hasty.http.get(f"{base}&name=nothing")).json()["items"] == []
    assert (await hasty.http.get(f"{base}&trials={e}-7")).status_code == 404


async def test_the_last_of_each_metric_is_told_however_many_points_there_are(
    hasty: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in files and those in Redis; a query for all of them is refused."""
    run = await begun(hasty.http)
    monkeypatch.setattr(history_reader, "LARGEST", 10)

    async def log(**steps: list[int]) -> None:
        points = [
            {"key": name, "value": float(step), "timestamp": 1000 + step, "step": step}
            for name, its in steps.items()
            for step in its
        ]
        body = {"run_id": run, "metrics": points}
        (await hasty.http.post(f"{API}/runs/log-batch", json=body)).raise_for_status()

    async def told() -> dict[str, tuple[float, int, int]]:
        shown = (await hasty.get(f"{API}/runs/get", run_id=run))["run"]["data"]["metrics"]
        return {m["key"]: (m["value"], m["timestamp"], m["step"]) for m in shown}

    await log(loss=[*range(2, 40), 1], acc=[7, 3])
    wanted = {"loss": (39.0, 1039, 39), "acc": (7.0, 1007, 7)}
    assert await told() == wanted
    await in_files(hasty, 1, TRACKED)
    assert await told() == wanted
    await log(loss=[5, 4], acc=[9, 8], f1=[1])
    assert await told() == wanted | {"acc": (9.0, 1009, 9), "f1": (1.0, 1001, 1)}
    asked = {"run_id": run, "metric_key": "loss"}
    refused = await hasty.http.get(f"{API}/metrics/get-history", params=asked)
    assert (refused.status_code, "More than 10 points" in refused.text) == (422, True)


async def test_what_is_no_report_is_a_dead_letter(gateway: Gateway) -> None:
    e = await experiment(gateway)
    await gateway.bus.js.publish(
        f"shoal.v1.metric.training.{e}.{e}-0", b"{", stream=TRAINING.name, headers={"ce-type": "x"}
    )
    await publish(gateway.bus, training(e, 1))
    path = f"/v1/experiments/{e}/metrics?group=training"
    await gateway.until(path, lambda m: len(m["items"]) == 1)
    assert (await gateway.bus.extent(DEAD_LETTERS))[0] == 1


async def ready(*projectors: Projector) -> None:
    """Wait until each knows where all its streams' files are."""
    for _ in range(200):
        if all(projector.ready for projector in projectors):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the projectors never caught up")


class Breaking(Recent):
    """Fails, as often as it is told to, when points are to be dropped: their file is written."""

    failures = 0

    async def drop(self, *arguments: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the writer dies here")
        await super().drop(*arguments)


async def test_a_writer_that_dies_at_the_worst_moment_loses_and_doubles_nothing(
    bus: Callable[..., Awaitable[Bus]], redis_url: str, tmp_path: Path
) -> None:
    one, store = await bus("gateway"), RedisStore(redis_url)
    await store.redis.flushall()
    files = Files(f"file://{tmp_path}")
    projector = Projector(one, store, files)
    running = asyncio.create_task(projector.run())
    await ready(projector)
    reader = HistoryReader(Breaking(store), files)
    writer = HistoryWriter(one, store, files, seconds=60, memory=2**20)
    writer.recent = recent = Breaking(store)
    wanted: list[float] = []
    for turn in range(30):
        await publish(one, *(training("e", turn * 3 + n) for n in range(3)))
        wanted += [float(turn * 3 + n) for n in range(3)]
        assert await projector.wait_until({TRAINING.name: len(wanted)}, 10)
        recent.failures = turn % 3
        if recent.failures:
            with pytest.raises(ConnectionError):
                await writer.write()
        else:
            await writer.write()
        if turn == 20:
            await store.redis.flushall()
            for _ in range(200):
                if await store.applied(TRAINING.name) == len(wanted):
                    break
                await asyncio.sleep(0.05)
        found = await reader.read(Query("e", "training", ["e-0"], points=0))
        assert found["value"].to_list() == wanted
    assert (await Recent(store).held(TRAINING))[0] != {}
    recent.failures = 0
    await writer.write()
    assert (await Recent(store).held(TRAINING))[0] == {}
    assert len(list(tmp_path.rglob("*.parquet"))) < 20
    writer.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def test_reports_wait_in_their_stream_while_redis_has_no_room_for_them(
    bus: Callable[..., Awaitable[Bus]], redis_url: str, tmp_path: Path
) -> None:
    one, store = await bus("gateway"), RedisStore(redis_url)
    await store.redis.flushall()
    files, room = Files(f"file://{tmp_path}"), 20_000
    projector = Projector(one, store, files, memory=room)
    running = asyncio.create_task(projector.run())
    await ready(projector)
    writer = HistoryWriter(one, store, files, seconds=60, memory=room)
    names = {f"a metric with quite a long name, number {n}": 1.0 for n in range(20)}
    count = 0
    while count < 10_000:
        await publish(one, training("e", count, metrics=names))
        count += 1
        if not await projector.wait_until({TRAINING.name: count}, 2):
            break
    held = sum((await writer.recent.held(TRAINING))[0].values())
    assert held > room
    await publish(one, *(training("e", count + n) for n in range(5)))
    assert not await projector.wait_until({TRAINING.name: count}, 1)
    await writer.write()
    assert await projector.wait_until({TRAINING.name: count + 5}, 10)
    writer.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def test_a_gateway_with_a_redis_of_its_own_drops_what_another_filed(
    bus: Callable[..., Awaitable[Bus]], redis_url: str, tmp_path: Path
) -> None:
    one = await bus("gateway")
    stores = [RedisStore(f"{redis_url[:-1]}{number}") for number in range(2)]
    await stores[0].redis.flushall()
    files = [Files(f"file://{tmp_path}") for _ in stores]
    projectors = [Projector(one, s, f) for s, f in zip(stores, files, strict=True)]
    running = [asyncio.create_task(p.run()) for p in projectors]
    await ready(*projectors)
    writers = [
        HistoryWriter(one, s, f, seconds=60, memory=2**20)
        for s, f in zip(stores, files, strict=True)
    ]
    await publish(one, *(training("e", step) for step in range(5)))
    for projector in projectors:
        assert await projector.wait_until({TRAINING.name: 5}, 10)
    await writers[0].write()
    await publish(one, training("e", 5))
    assert await projectors[1].wait_until({TRAINING.name: 6}, 10)
    await writers[1].drop()
    blocks, filed, _ = await writers[1].recent.read(TRAINING, "e")
    assert (len(blocks), filed) == (1, 5)
    found = await HistoryReader(writers[1].recent, files[1]).read(Query("e", "training", ["e-0"]))
    assert found["step"].to_list() == list(range(6))
    for writer in writers:
        writer.close()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for store in stores:
        await store.close()


async def test_trials_of_several_experiments_are_compared_in_one_call(gateway: Gateway) -> None:
    await workspaces(gateway, "red", "blue")
    ed = await person(gateway, "ed", red="viewer")
    one, other = [await experiment(gateway, 2, resources={"workspace": "red"}) for _ in range(2)]
    hidden = await experiment(gateway, 1, resources={"workspace": "blue"})
    for e in (one, other, hidden):
        its = [training(e, step, trial_id=f"{e}-{n}") for n in (0, 1) for step in (1, 2)]
        await publish(gateway.bus, *its)
    await gateway.until(f"/v1/experiments/{hidden}/metrics?group=training", lambda m: m["items"])
    trials = [f"{other}-1", f"{one}-0", f"{other}-0"]
    async with AsyncClient(gateway.url, token=ed.token) as client:
        found = await client.compare(trials, group="training")
        assert [(r["trial_id"], r["step"]) for r in found] == [
            (t, s) for t in trials for s in (1, 2)
        ]
        newer = await client.compare(trials, group="training", since_step=1, points=10)
        assert len(newer) == 3
    path = f"/v1/metrics?group=training&trials={','.join(trials)}"
    table = pl.read_csv(io.BytesIO((await ed.ask("GET", f"{path}&format=csv")).content))
    assert sorted(set(table["trial_id"])) == sorted(trials)
    for trial in (f"{hidden}-0", "nope-0", f"{one}-7"):
        refused = await ed.ask("GET", f"{path},{trial}")
        assert (refused.status_code, trial in refused.json()["detail"]) == (404, True)
    assert (await gateway.http.get(f"{path},{hidden}-0")).status_code == 200
    assert (await gateway.http.get("/v1/metrics?trials=,")).status_code == 422
    assert (await gateway.http.get("/v1/metrics")).status_code == 422
