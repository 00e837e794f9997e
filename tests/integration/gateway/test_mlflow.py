"""MLflow's own client, at the gateway."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Gateway

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def tracking(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    token = gateway.http.headers["Authorization"].removeprefix("Bearer ")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return f"{gateway.url.rstrip('/')}/mlflow"


def script(url: str) -> str:
    """What people write. Returns the run's id."""
    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("digits")
    with mlflow.start_run(run_name="first", tags={"team": "vision"}) as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"width": 64, "depth": 3})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"acc": 0.9, "bad": float("nan")}, step=5)
        mlflow.set_tag("note", "ours")
    return str(run.info.run_id)


async def test_a_script_that_logs_works_unchanged(gateway: Gateway, tracking: str) -> None:
    run_id = await asyncio.to_thread(script, tracking)
    client = mlflow.tracking.MlflowClient(tracking_uri=tracking)

    def look() -> Any:
        run = client.get_run(run_id)
        return run, client.get_metric_history(run_id, "loss")

    run, history = await asyncio.to_thread(look)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "first")
    assert run.info.end_time >= run.info.start_time
    assert run.data.params == {"lr": "0.1", "width": "64", "depth": "3"}
    assert run.data.metrics["loss"] == 0.2
    assert math.isnan(run.data.metrics["bad"])
    assert run.data.tags["team"] == "vision"
    assert run.data.tags["note"] == "ours"
    assert [(m.step, m.value) for m in history] == [(s, 1 / (s + 1)) for s in range(5)]

    before = run.to_dictionary()
    await gateway.redis.flushall()
    for _ in range(100):
        try:
            again, points = await asyncio.to_thread(look)
        except mlflow.exceptions.MlflowException:
            pass
        else:
            if str(again.to_dictionary()) == str(before) and len(points) == 5:
                return
        await asyncio.sleep(0.1)
    raise AssertionError("a lost Redis lost what was logged")


async def test_experiments_and_runs_are_found(tracking: str) -> None:
    client = mlflow.tracking.MlflowClient(tracking_uri=tracking)
    now = int(time.time() * 1000)

    def make() -> tuple[str, list[str]]:
        e = client.create_experiment("cells", tags={"kind": "images"})
        runs = []
        for n in range(3):
            run = client.create_run(e, run_name=f"r{n}").info.run_id
            points = [mlflow.entities.Metric("loss", n + 1 / (s + 1), now, s) for s in range(10)]
            params = [mlflow.entities.Param("opt", "sgd" if n else "adam")]
            client.log_batch(run, points, params)
            runs.append(run)
        return e, runs

    e, runs = await asyncio.to_thread(make)

    def search(text: str = "", **how: Any) -> list[str]:
        return [r.info.run_name for r in client.search_runs([e], text, **how)]

    def check() -> None:
        assert client.get_experiment(e).name == "cells"
        assert client.get_experiment_by_name("cells").experiment_id == e
        assert client.get_experiment_by_name("none") is None
        assert [
            x.name for x in client.search_experiments(filter_string="tags.kind = 'images'")
        ] == ["cells"]
        assert search() == ["r2", "r1", "r0"]
        assert search(order_by=["metrics.loss ASC"]) == ["r0", "r1", "r2"]
        assert search("params.opt = 'sgd' and metrics.loss < 2") == ["r1"]
        assert search("attributes.run_name LIKE 'r%'", max_results=2) == ["r2", "r1"]
        first = client.search_runs([e], max_results=2)
        rest = client.search_runs([e], max_results=2, page_token=first.token)
        assert [r.info.run_name for r in rest] == ["r0"]
        client.set_terminated(runs[0], "FAILED")
        assert search("attributes.status = 'FAILED'") == ["r0"]
        client.delete_run(runs[1])
        assert search() == ["r2", "r0"]
        client.restore_run(runs[1])
        assert search() == ["r2", "r1", "r0"]
        assert client.create_run("0").info.experiment_id == client.get_experiment("0").experiment_id
        with pytest.raises(mlflow.exceptions.MlflowException, match="already"):
            client.create_experiment("cells")
        with pytest.raises(mlflow.exceptions.MlflowException, match="is 'adam' already"):
            client.log_param(runs[0], "opt", "other")
        with pytest.raises(mlflow.exceptions.MlflowException, match="no comparison"):
            search("what is this")
        with pytest.raises(mlflow.exceptions.MlflowException, match="no run"):
            client.get_run("0" * 32)

    await asyncio.to_thread(check)


async def test_artifacts_are_kept(gateway: Gateway, tracking: str, tmp_path: Path) -> None:
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    (tmp_path / "logs" / "deep" / "model.bin").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "logs" / "a b.txt").write_text("ä")

    def log() -> Any:
        mlflow.set_tracking_uri(tracking)
        mlflow.set_experiment("files")
        with mlflow.start_run() as run:
            mlflow.log_text("hello", "notes/hello.txt")
            mlflow.log_text("again", "notes/hello.txt")
            mlflow.log_dict({"lr": 0.1}, "config.json")
            mlflow.log_artifacts(str(tmp_path / "logs"), "logs")
        return run.info

    info = await asyncio.to_thread(log)
    assert info.artifact_uri == f"mlflow-artifacts:/{info.experiment_id}/{info.run_id}/artifacts"
    client = mlflow.tracking.MlflowClient(tracking_uri=tracking)

    def look() -> None:
        found = {f.path: (f.is_dir, f.file_size) for f in client.list_artifacts(info.run_id)}
        assert set(found) == {"notes", "config.json", "logs"}
        assert (found["notes"], found["config.json"][0]) == ((True, None), False)
        assert [f.path for f in client.list_artifacts(info.run_id, "logs")] == [
            "logs/a b.txt",
            "logs/deep",
        ]
        assert client.list_artifacts(info.run_id, "none") == []
        assert mlflow.artifacts.load_text(f"{info.artifact_uri}/notes/hello.txt") == "again"
        assert mlflow.artifacts.load_dict(f"{info.artifact_uri}/config.json") == {"lr": 0.1}
        whole = Path(client.download_artifacts(info.run_id, "", str(tmp_path)))
        assert (whole / "logs" / "deep" / "model.bin").read_bytes() == bytes(range(256)) * 1000
        assert (whole / "logs" / "a b.txt").read_text() == "ä"
        with pytest.raises(mlflow.exceptions.MlflowException, match="ensure that the path"):
            client.download_artifacts(info.run_id, "notes/none.txt", str(tmp_path))

    await asyncio.to_thread(look)
    (tmp_path / "more").mkdir()
    before = (await gateway.get("/v1/audit"))["items"]
    await asyncio.to_thread(client.log_text, info.run_id, "x", "x.txt")
    assert (await gateway.get("/v1/audit"))["items"] == before


async def test_tags_and_names_change(gateway: Gateway, tracking: str) -> None:
    client = mlflow.tracking.MlflowClient(tracking_uri=tracking)

    def change() -> None:
        e = client.create_experiment("old", tags={"kind": "images", "team": "a"})
        run = client.create_run(e).info.run_id
        client.set_tag(run, "note", "x")
        client.delete_tag(run, "note")
        assert "note" not in client.get_run(run).data.tags
        with pytest.raises(mlflow.exceptions.MlflowException, match="no tag 'note'"):
            client.delete_tag(run, "note")
        client.set_experiment_tag(e, "team", "b")
        client.set_experiment_tag(e, "more", "c")
        client.delete_experiment_tag(e, "kind")
        assert client.get_experiment(e).tags == {"team": "b", "more": "c"}
        assert [x.name for x in client.search_experiments(filter_string="tags.team = 'b'")] == [
            "old"
        ]
        client.rename_experiment(e, "new")
        assert client.get_experiment(e).name == "new"
        assert client.get_experiment_by_name("new").experiment_id == e
        assert client.get_experiment_by_name("old") is None
        with pytest.raises(mlflow.exceptions.MlflowException, match="already"):
            client.create_experiment("new")
        other = client.create_experiment("old")
        assert other != e
        assert client.get_experiment_by_name("old").experiment_id == other
        with pytest.raises(mlflow.exceptions.MlflowException, match="already"):
            client.rename_experiment(other, "new")
        with pytest.raises(mlflow.exceptions.MlflowException, match="Shoal has no") as refused:
            client.create_registered_model("m")
        assert refused.value.error_code == "ENDPOINT_NOT_FOUND"

    await asyncio.to_thread(change)
