"""Commands against a real gateway, as a person types them."""

import asyncio
import contextlib
import json
import pty
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from integration.gateway.conftest import Gateway, alone, gateway
from integration.gateway.test_experiments import ended, saved
from integration.gateway.test_gateway import publish, trial_events
from integration.gateway.test_logs import write
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


@contextlib.asynccontextmanager
async def typed(*words: str, stdin: int = subprocess.DEVNULL) -> AsyncIterator[Process]:
    """The command as a process of its own, which Ctrl-C reaches."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    code += "from shoal.cli.app import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *words, stdin=stdin,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


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


async def test_ctrl_c_leaves_the_experiment_and_says_so(
    gateway: Gateway, shoal: Any, tmp_path: Path
) -> None:
    (tmp_path / "cells.yaml").write_text(FILE)
    async with typed("run", "cells.yaml") as process:
        assert process.stdout is not None
        assert b"submitted as" in await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert b"goes on" in err
    assert b"shoal stop" in err
    (row,) = json.loads((await shoal("ls", "--json"))[1])
    assert row["state"] == "active"
    async with typed("events", "--experiment", row["experiment_id"], "--json") as process:
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["type"] == "experiment.submitted"
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")


async def test_a_question_that_nobody_answers(gateway: Gateway, shoal: Any) -> None:
    e = await gateway.submit()
    async with typed("delete", e) as process:
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().splitlines()[-1] == (
        "shoal: There is nobody to ask: pass --yes to go ahead."
    )
    async with typed("login") as process:
        _, err = await process.communicate()
    assert process.returncode == 1
    assert b"a bug" not in err
    _, terminal = pty.openpty()
    async with typed("login", "ada", stdin=terminal) as process:
        assert process.stderr is not None
        await process.stderr.readuntil(b"Password:")
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert b"a bug" not in err


async def test_what_is_not_there_is_said(gateway: Gateway, shoal: Any) -> None:
    e = await gateway.submit()
    await publish(gateway, *trial_events(e))
    await gateway.until(f"/v1/experiments/{e}/metrics", lambda found: found["items"])
    assert (await shoal("metrics", e, "--metric", "loss"))[0] == 0
    assert (await shoal("metrics", e, "--metric", "nope"))[0] == 1
    assert (await shoal("events", "--experiment", "nope", "--no-follow"))[0] == 1
    assert (await shoal("logs", f"{e}-9"))[0] == 1


async def test_logs_are_parts_and_are_followed(gateway: Gateway, shoal: Any) -> None:
    e = await gateway.submit()
    await publish(gateway, *trial_events(e))
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["trial_id"])
    await write(gateway, e, 0, "INFO begun", "ERROR bad", "INFO loss 3")
    assert (await shoal("logs", e, "--tail", "1"))[1] == f"{e}-0[0] INFO loss 3\n"
    assert (await shoal("logs", e, "--level", "error"))[1] == f"{e}-0[0] ERROR bad\n"
    assert (await shoal("logs", e, "--search", "loss"))[1] == f"{e}-0[0] INFO loss 3\n"
    assert (await shoal("logs", e, "--rank", "1"))[1] == ""
    async with typed("logs", "-f", f"{e}-0", "--tail", "1", "--json") as process:
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["lines"] == ["INFO loss 3"]
        await write(gateway, e, 3, "more")
        assert json.loads(await process.stdout.readline())["lines"] == ["more"]
        await publish(gateway, TrialCompleted(experiment_id=e, trial_id=f"{e}-0", reason="done"))
        out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out, err) == (0, b"", b"")


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
    assert "2 on 1 node," in told
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
