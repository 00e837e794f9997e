"""The local driver with a harmless command in a worker's place."""

import asyncio
import json
import os
import signal
import sys

import psutil
import pytest

from shoal_provisioner.shell.drivers.base import Order
from shoal_provisioner.shell.drivers.local import LocalDriver

SLEEP = "import os, json, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True);"
PARENT = (
    "import subprocess, sys, time;"
    "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(c.pid, flush=True); time.sleep(60)"
)


def driver(folder, script=SLEEP):
    return LocalDriver(
        folder, "nats://x:1", {"PATH": os.environ["PATH"]}, [sys.executable, "-c", script]
    )


def about(folder, name="p-0"):
    return json.loads((folder / "machines" / name / "machine.json").read_text())


async def names(driver):
    return {machine.instance_id for machine in await driver.machines()}


async def said(folder, name="p-0"):
    log = folder / "machines" / name / "worker.log"
    for _ in range(200):
        if log.exists() and log.read_text().endswith("\n"):
            return log.read_text()
        await asyncio.sleep(0.02)
    raise TimeoutError(f"nothing in {log}")


@pytest.fixture
async def machines(tmp_path):
    yield tmp_path
    for file in tmp_path.glob("machines/*/machine.json"):
        await driver(tmp_path).stop(file.parent.name, "", 0)


async def test_a_machine_starts_once_outlives_its_provisioner_and_ends(machines):
    first = driver(machines)
    await first.start([Order("p", "p-0", 3)])
    env = json.loads(await said(machines))
    assert {k: v for k, v in env.items() if k.startswith("SHOAL_")} == {
        "SHOAL_NATS_URL": "nats://x:1",
        "SHOAL_NODE_ID": "p-0",
        "SHOAL_INSTANCE_ID": "p-0",
        "SHOAL_POOL": "p",
        "SHOAL_SLOTS": "3",
        "SHOAL_DEVICES": "cpu",
        "SHOAL_STATE_DIR": str(machines / "machines" / "p-0"),
    }
    pid = about(machines)["pid"]
    assert os.getsid(pid) == pid, "a session of its own"
    later = driver(machines)  # as after a restart of the provisioner
    assert await names(later) == {"p-0"}
    await later.start([Order("p", "p-0", 3)])
    assert about(machines)["pid"] == pid
    await later.stop("p-0", "", 5)
    assert await names(later) == set()
    assert about(machines)["ended"] is True
    assert "never started twice" in str((await first.start([Order("p", "p-0", 3)]))["p-0"])


async def test_a_worker_of_which_no_note_was_taken_is_found_again(machines):
    await driver(machines).start([Order("p", "p-0", 1)])
    await said(machines)
    pid = about(machines)["pid"]
    (machines / "machines" / "p-0" / "machine.json").unlink()
    await driver(machines).start([Order("p", "p-0", 1)])
    assert about(machines)["pid"] == pid


async def test_another_process_with_the_same_number_is_no_machine(machines):
    file = machines / "machines" / "p-0" / "machine.json"
    file.parent.mkdir(parents=True)
    own = psutil.Process()
    file.write_text(json.dumps({"pid": own.pid, "create_time": own.create_time() - 99}))
    assert await names(driver(machines)) == set()
    await driver(machines).stop("p-0", "", 0)  # would end these tests


async def test_who_does_not_listen_is_killed(machines):
    slow = driver(machines, DEAF + " time.sleep(60)")
    await slow.start([Order("p", "p-0", 1)])
    await said(machines)
    pid = about(machines)["pid"]
    await slow.stop("p-0", "", 0.2)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_what_a_worker_leaves_behind_ends_with_it(machines):
    parent = driver(machines, PARENT)
    await parent.start([Order("p", "p-0", 1)])
    child = psutil.Process(int(await said(machines)))
    await parent.stop("p-0", "", 5)
    psutil.wait_procs([child], 3)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_machine_that_dies_is_seen(machines):
    local = driver(machines)
    await local.start([Order("p", "p-0", 1)])
    os.kill(about(machines)["pid"], signal.SIGKILL)
    for _ in range(100):
        if await names(local) == set():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it still counts as running")


async def test_a_command_that_is_not_there_is_a_failed_start(machines):
    bad = LocalDriver(machines, "nats://x:1", {}, ["/no/such/command"])
    assert "p-0 could not be started" in str((await bad.start([Order("p", "p-0", 1)]))["p-0"])
