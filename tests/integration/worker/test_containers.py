"""Ranks in containers, by a stand-in for docker that runs real processes; `test_engine.py` has a
real one."""

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import psutil
import pytest
from integration.worker import engine
from integration.worker.desk import DEADLINE, Desk, desk
from integration.worker.test_promises import until

from shoal_contract import events as ev
from shoal_contract.events.trial import Container
from shoal_contract.states import Outcome, StopReason

__all__ = ["desk"]

IMAGE = Container(image="lab/torch:1")
DEAF = """
import os, signal, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("pid", os.getpid(), flush=True)
time.sleep(600)
"""


async def begin(desk: Desk, **settings: str) -> Path:
    """A worker with a `docker`; returns the stand-in's folder."""
    place = desk.folder / "engine"
    place.mkdir()
    docker = place / "docker"
    docker.write_text(f'#!/bin/sh\nexec {sys.executable} -S {engine.__file__} "$@"\n')
    docker.chmod(0o755)
    path = f"{place}{os.pathsep}{os.environ['PATH']}"
    await desk.begin(PATH=path, DOCKER_HOST=str(place), SHOAL_SECRET="hush", **settings)
    return place


async def rank(desk: Desk) -> psutil.Process:
    """The process that told its id."""
    log = await desk.find(ev.LogWritten, lambda e: any("pid" in line for line in e.lines))
    return psutil.Process(int(log.lines[-1].split()[1]))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def test_a_gang_trains_in_containers(desk: Desk) -> None:
    place = await begin(desk, SHOAL_RANK_MEMORY="64")
    order = await desk.start("e-0", 2, target=2, container=IMAGE)
    await desk.reach(order, 2)
    await desk.stop(order, StopReason.PREEMPTED)
    assert (await desk.exit(order)).outcome is Outcome.PREEMPTED
    assert (await desk.weights(order)).startswith("weights ")
    calls = [json.loads(line) for line in (place / "calls").read_text().splitlines()]
    runs = [call for call in calls if call[0] == "run"]
    assert len(runs) == 2
    assert "64000000000" in runs[0]
    assert f"{desk.folder}/store:{desk.folder}/store" in runs[0]


async def test_a_container_sees_no_secrets_and_its_code_is_told(desk: Desk) -> None:
    await begin(desk)
    script = "import json, os, sys; print(json.dumps(dict(os.environ))); sys.exit(3)"
    order = await desk.start(
        "e-0", bundle=desk.code(script), container=IMAGE, environment={"MINE": "yes"}
    )
    end = await desk.exit(order)
    assert (end.outcome, end.exit_code) == (Outcome.FAILED, 3)
    env = json.loads((await desk.find(ev.LogWritten, lambda e: e.stream == "stdout")).lines[0])
    assert (env["IMAGE"], env["MINE"], env["RANK"]) == ("lab/torch:1", "yes", "0")
    assert "hush" not in json.dumps(env)
    assert "DOCKER_HOST" not in env


@pytest.mark.parametrize(("how", "seconds"), [("", 60), ("deaf", 1)])
async def test_a_notice_ends_a_container_within_the_grace(
    desk: Desk, how: str, seconds: float
) -> None:
    await begin(desk)
    command = ["python", "train.py", how]
    order = await desk.start("e-0", entrypoint=command, bundle=desk.code(DEAF), container=IMAGE)
    process = await rank(desk)
    await desk.stop(order, StopReason.PREEMPTED, grace=seconds)
    assert (await desk.exit(order)).outcome is Outcome.PREEMPTED
    assert gone(process)


async def test_a_container_ends_with_its_worker(desk: Desk) -> None:
    place = await begin(desk)
    command = ["python", "train.py", "deaf"]
    order = await desk.start("e-0", entrypoint=command, bundle=desk.code(DEAF), container=IMAGE)
    process = await rank(desk)
    assert desk.worker is not None
    desk.worker.send_signal(signal.SIGKILL)
    await desk.find(ev.NodeLeft)
    assert gone(process)
    assert not (place / f"shoal-{order.run_id}-0").exists()
    await asyncio.wait_for(desk.worker.wait(), DEADLINE)


async def test_a_killed_container_is_a_killed_rank(desk: Desk) -> None:
    await begin(desk)
    order = await desk.start(
        "e-0", entrypoint=["python", "train.py"], bundle=desk.code(DEAF), container=IMAGE
    )
    (await rank(desk)).kill()
    end = await desk.exit(order)
    assert (end.outcome, end.exit_code) == (Outcome.FAILED, -9)


async def test_what_cannot_run_says_why(desk: Desk) -> None:
    await begin(desk)
    order = await desk.start("e-0", container=Container(image="no/such"))
    end = await desk.exit(order)
    assert (end.outcome, end.exit_code) == (Outcome.FAILED, 125)
    assert "rank 0: docker: Error response from daemon: pull access denied" in end.reason
    order = await desk.start("e-1", container=Container(image="no/daemon"))
    end = await desk.exit(order)
    assert (end.outcome, end.exit_code) == (Outcome.LOST, 125)
    assert "docker: Cannot connect to the Docker daemon" in end.reason
    folder = desk.folder / "state" / "runs" / order.run_id
    await until(lambda: not folder.exists())
    if shutil.which("podman") is None:
        order = await desk.start("e-2", container=Container(image="x", runtime="podman"))
        end = await desk.exit(order)
        assert (end.outcome, "has no podman" in end.reason) == (Outcome.LOST, True)
