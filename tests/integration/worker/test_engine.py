"""Ranks in containers of a real engine: where `SHOAL_TEST_ENGINE` is the path of a `podman` or
`docker` that works. The image is empty, and mounts this machine's Python."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from integration.worker.desk import DEADLINE, Desk, desk
from integration.worker.test_promises import until

from shoal_contract import events as ev
from shoal_contract.events.trial import Container
from shoal_contract.states import Outcome, StopReason

__all__ = ["desk"]

ENGINE = os.environ.get("SHOAL_TEST_ENGINE", "")
pytestmark = pytest.mark.skipif(not ENGINE, reason="SHOAL_TEST_ENGINE names no engine")
IMAGE = Container(image="localhost/shoal-empty:1")
PYTHON = [sys.executable, "train.py"]
ROOT = Path(__file__).parents[3]
OWN = ("/usr", "/lib", "/lib64", "/bin")
"""Folders of this machine that its Python needs."""
SLEEPER = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else lambda *_: sys.exit(0))
print("up", flush=True)
time.sleep(600)
"""


def engine(*arguments: str) -> str:
    """What the engine prints."""
    return subprocess.run([ENGINE, *arguments], check=True, capture_output=True, text=True).stdout


def containers() -> list[str]:
    """The names of all that are there, running or not."""
    return engine("ps", "--all", "--filter", "name=shoal-", "--format", "{{.Names}}").split()


@pytest.fixture(scope="module", autouse=True)
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An image of empty folders."""
    file = tmp_path_factory.mktemp("image") / "image.tar"
    with tarfile.open(file, "w") as tar:
        for name in ("tmp", "etc", "proc", "sys", "dev", *(path.strip("/") for path in OWN)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        user = tarfile.TarInfo("etc/passwd")
        user.size = len(line := f"me:x:{os.getuid()}:{os.getgid()}::/tmp:/bin/sh\n".encode())
        tar.addfile(user, io.BytesIO(line))
    engine("import", str(file), "shoal-empty:1")


async def begin(desk: Desk, **settings: str) -> None:
    mounts = [*filter(os.path.exists, OWN), sys.base_prefix, str(ROOT)]
    kept = {name: os.environ[name] for name in os.environ if name.startswith("CONTAINERS_")}
    await desk.begin(
        PATH=f"{Path(ENGINE).parent}{os.pathsep}{os.environ['PATH']}",
        SHOAL_CONTAINER_RUNTIME=Path(ENGINE).name,
        SHOAL_CONTAINER_MOUNTS=",".join(mounts),
        SHOAL_SECRET="hush",
        **kept,
        **settings,
    )


async def test_a_gang_trains_and_checkpoints(desk: Desk) -> None:
    await begin(desk)
    order = await desk.start("e-0", 2, target=2, container=IMAGE, entrypoint=PYTHON)
    await desk.reach(order, 2)
    assert len(containers()) == 2
    await desk.stop(order, StopReason.PREEMPTED)
    assert (await desk.exit(order)).outcome is Outcome.PREEMPTED
    assert (await desk.weights(order)).startswith("weights ")
    assert containers() == []


async def test_it_sees_no_secrets_and_its_code_is_told(desk: Desk) -> None:
    await begin(desk)
    script = "import json, os, sys; print(json.dumps(dict(os.environ))); sys.exit(3)"
    order = await desk.start(
        "e-0", bundle=desk.code(script), container=IMAGE, entrypoint=PYTHON,
        environment={"MINE": "yes"},
    )  # fmt: skip
    end = await desk.exit(order)
    assert (end.outcome, end.exit_code) == (Outcome.FAILED, 3)
    env = json.loads((await desk.find(ev.LogWritten, lambda e: e.stream == "stdout")).lines[0])
    assert (env["MINE"], env["RANK"]) == ("yes", "0")
    assert "hush" not in json.dumps(env)


@pytest.mark.parametrize(("how", "seconds"), [("", 60), ("deaf", 1)])
async def test_a_notice_ends_it_within_the_grace(desk: Desk, how: str, seconds: float) -> None:
    await begin(desk)
    order = await desk.start(
        "e-0", entrypoint=[*PYTHON, how], bundle=desk.code(SLEEPER), container=IMAGE
    )
    await desk.find(ev.LogWritten, lambda e: "up" in e.lines)
    await desk.stop(order, StopReason.PREEMPTED, grace=seconds)
    assert (await desk.exit(order)).outcome is Outcome.PREEMPTED
    assert containers() == []


async def test_it_ends_with_its_worker(desk: Desk) -> None:
    await begin(desk)
    await desk.start(
        "e-0", entrypoint=[*PYTHON, "deaf"], bundle=desk.code(SLEEPER), container=IMAGE
    )
    await desk.find(ev.LogWritten, lambda e: "up" in e.lines)
    assert desk.worker is not None
    desk.worker.send_signal(signal.SIGKILL)
    await asyncio.wait_for(desk.worker.wait(), DEADLINE)
    await until(lambda: containers() == [])


async def test_a_missing_image_is_said(desk: Desk) -> None:
    await begin(desk)
    container = Container(image="localhost/shoal-missing:1")
    end = await desk.exit(await desk.start("e-0", container=container, entrypoint=PYTHON))
    assert end.exit_code == 125
    assert "Error" in end.reason
    assert "shoal-missing" in end.reason
