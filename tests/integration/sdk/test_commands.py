"""Commands against a real gateway, as a person types them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from integration.gateway.conftest import Gateway, alone, gateway
from integration.gateway.test_experiments import ended, saved
from integration.gateway.test_gateway import publish, trial_events
from integration.gateway.test_metrics import training
from typer.testing import CliRunner

from shoal.aio import AsyncClient
from shoal.cli.app import app
from shoal_contract.events import SearchFailed, TrialCompleted

__all__ = ["alone", "gateway"]
FILE = """
name: cells
entrypoint: python train.py
hyperparameters: {lr: {type: log, minval: -4, maxval: -1}}
searcher: {name: random, metric: loss, max_time: 10, max_trials: 4}
"""


@pytest.fixture
def shoal(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command; returns its exit code, and what it printed."""
    monkeypatch.setenv("SHOAL_URL", gateway.url)
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    async def run(*words: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, app, list(words))
        return result.exit_code, result.stdout

    return run


async def test_from_a_file_to_a_fork(gateway: Gateway, shoal: Any, tmp_path: Path) -> None:
    (tmp_path / "cells.yaml").write_text(FILE)
    code, told = await shoal("run", "cells.yaml", "--no-follow")
    assert code == 0
    e = told.split()[0]
    await publish(gateway, *trial_events(e), saved(e))
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["checkpoint"])
    code, told = await shoal("compare", e, f"{e}-0")
    assert (code, "best loss" in told, told.count("0.5")) == (0, True, 2)
    code, told = await shoal("metrics", e)
    assert (code, "loss" in told, "▄" in told) == (0, True, True)
    code, told = await shoal("metrics", e, "--plot")
    assert (code, f"{e}-0" in told) == (0, True)
    code, told = await shoal(
        "fork", e, "--set", "searcher.max_trials=7", "--name", "twin", "--json"
    )
    twin = json.loads(told)
    assert (code, twin["name"], twin["max_trials"]) == (0, "twin", 7)
    assert twin["bundle"]["sha256"]
    code, told = await shoal("continue", f"{e}-0", "--max-time", "20", "--json")
    assert json.loads(told)["config"]["searcher"]["source_trial_id"] == f"{e}-0"
    assert (await shoal("fork", e, "--set", "searcher.max_trials=x"))[0] == 1
    assert (await shoal("fork", e, "--set", "nothing"))[0] == 1


async def test_reports_of_steps_that_were_trained_again(gateway: Gateway, shoal: Any) -> None:
    e = await gateway.submit()
    await publish(
        gateway, *trial_events(e), training(e, 2, metrics={"loss": 0.25}),
        training(e, 2, attempt=2, metrics={"loss": 0.75}),
    )  # fmt: skip
    path = f"/v1/experiments/{e}/metrics?group=training"
    await gateway.until(path, lambda answer: answer["items"][0]["attempt"] == 2)
    code, told = await shoal("metrics", e, "--group", "training", "--reports")
    assert (code, "ATTEMPT" in told, "0.25" in told, "0.75" in told) == (0, True, False, True)
    code, told = await shoal("metrics", e, "--group", "training", "--superseded")
    (first,) = [line for line in told.splitlines() if "0.25" in line]
    assert (code, first.split()[1:4]) == (0, ["1", "yes", "2"])
    assert "0.75" in told


async def test_lists_and_places(gateway: Gateway, shoal: Any) -> None:
    e, other = await gateway.submit(name="one"), await gateway.submit(name="two")
    assert (await shoal("edit", e, "--label", "best", "--notes", "found"))[0] == 0
    assert (await shoal("edit", e))[0] == 2
    code, told = await shoal("ls", "--label", "best", "-o", "wide")
    assert (code, "one" in told, "two" in told, "LABELS" in told) == (0, True, False, True)
    code, told = await shoal("ls", "--search", "FOUND", "--json")
    assert [row["experiment_id"] for row in json.loads(told)] == [e]
    assert (await shoal("archive", e))[0] == 1
    await ended(gateway, e)
    assert (await shoal("archive", e))[0] == 0
    assert [r["name"] for r in json.loads((await shoal("ls", "-o", "json"))[1])] == ["two"]
    assert len(json.loads((await shoal("ls", "--all", "--sort", "name", "--json"))[1])) == 2
    assert (await shoal("unarchive", e))[0] == 0
    assert (await shoal("delete", e, "--yes"))[0] == 0
    assert (await shoal("show", e))[0] == 1
    assert (await shoal("kill", other))[0] == 0
    row = await gateway.until(f"/v1/experiments/{other}", lambda r: r["cancel_requested_at"])
    assert row["state"] == "active"  # the searcher's word is missing here


async def test_waiting_ends_with_the_experiment(gateway: Gateway, shoal: Any) -> None:
    e = await gateway.submit()
    waiting = asyncio.create_task(shoal("wait", e))
    await publish(gateway, *trial_events(e))
    await publish(gateway, TrialCompleted(experiment_id=e, trial_id=f"{e}-0", reason="done"))
    await publish(gateway, SearchFailed(experiment_id=e, reason="all failed"))
    code, told = await waiting
    assert code == 1
    assert f"{e} is failed." in told


async def test_the_doctor_looks_at_the_platform(
    gateway: Gateway, shoal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cells.yaml").write_text(FILE)
    found = {f["what"]: f for f in json.loads((await shoal("doctor", "cells.yaml", "--json"))[1])}
    states = {what: finding["state"] for what, finding in found.items()}
    assert {states[w] for w in ("Gateway", "Version", "Clock", "Ready", "Login", "File")} == {"ok"}
    assert (states["Slots"], states["Pool default"]) == ("warn", "fail")
    assert "admin of the cluster" in found["Login"]["text"]
    e = await gateway.submit()
    await publish(gateway, trial_events(e)[0])
    await gateway.until("/v1/nodes", lambda found: found["items"])
    code, told = await shoal("doctor", "cells.yaml")
    assert (code, "fail" in told) == (0, False)
    assert "2 on 1 nodes" in told
    monkeypatch.setenv("SHOAL_TOKEN", "shoal_none")
    code, told = await shoal("doctor")
    assert (code, "shoal login" in told) == (1, True)


async def test_the_async_client_follows_and_asks(gateway: Gateway) -> None:
    async with AsyncClient(gateway.url) as client:
        await client.ready()
        e = (await client.submit(yaml_config(), key="k"))["experiment_id"]
        assert (await client.submit(yaml_config(), key="k"))["experiment_id"] == e
        types = []
        await client.pause(e)
        async with asyncio.timeout(20):
            async for event in client.events(experiment=e, since="start"):
                types.append(event["type"])
                if len(types) == 2:
                    break
        assert types == ["experiment.submitted", "experiment.pause_requested"]
        assert [row["experiment_id"] for row in await client.experiments(name="CELLS")] == [e]
        assert (await client.edit(e, notes="x", revision=0))["notes"] == "x"


def yaml_config() -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(FILE)
    return found
