"""A trial whose checkpoints are in S3 or Google Cloud Storage, spoken by servers of this machine:
saved, loaded, and cleaned up."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import fsspec.config
import pytest
from conftest import wait_for_port
from integration.worker.desk import Desk, desk
from ports import free_port

from shoal.training import checkpoints
from shoal_contract import events as ev
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome, StopReason
from shoal_gateway.shell.bundles import Bundles
from shoal_worker.shell.staging import stage

__all__ = ["desk"]

SAVING = """
import itertools, torch, shoal
run = shoal.init()
model = torch.nn.Linear(1, 1)
first = run.restore(model=model)
for step in itertools.count(first + 1):
    torch.nn.init.constant_(model.weight, step)
    run.checkpoint(step=step, wait=True, model=model)
    run.report(step=step, acc=1.0 / step)
    if run.should_stop():
        break
print("weights", first, step)
"""


class Cloud(NamedTuple):
    """A bucket `shoal`, and the variables by which its server is found and entered."""

    protocol: str
    env: dict[str, str]


@pytest.fixture(params=["s3", "gs"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    port, protocol = free_port(), request.param
    url = f"http://127.0.0.1:{port}"
    commands = {
        "s3": ["moto.server", "-H", "127.0.0.1", "-p", str(port)],
        "gs": [
            "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}", "--in-memory",
            "--default-bucket=shoal",
        ],
    }  # fmt: skip
    envs = {
        "s3": {
            "AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "hush",
        },
        # Kinds of buckets are asked for by gRPC at Google's own address only.
        "gs": {
            "STORAGE_EMULATOR_HOST": url, "FSSPEC_GCS_TOKEN": "anon",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        },
    }  # fmt: skip
    server = subprocess.Popen(
        [sys.executable, "-m", *commands[protocol]],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for name, value in envs[protocol].items():
        monkeypatch.setenv(name, value)
    fsspec.config.set_conf_env(fsspec.config.conf)
    try:
        wait_for_port(port, server)
        fsspec.get_filesystem_class(protocol).clear_instance_cache()
        if protocol == "s3":
            fsspec.filesystem(protocol).mkdir("shoal")
        yield Cloud(protocol, envs[protocol])
    finally:
        fsspec.config.conf.clear()
        server.kill()
        server.wait()


async def test_a_trial_in_a_bucket(desk: Desk, cloud: Cloud) -> None:
    store = f"{cloud.protocol}://shoal/store"
    config = parse_experiment(
        {
            "name": "x", "entrypoint": "python train.py", "checkpoint_storage": {"url": store},
            "searcher": {
                "name": "single", "metric": "acc", "smaller_is_better": False, "max_time": 9,
            },
        }
    )  # fmt: skip
    accepted = ev.SearchAccepted(experiment_id="e", config=config, bundle=None, storage_url=store)
    await desk.say(accepted)
    await desk.begin(**cloud.env)
    # Ranks get nothing of the worker's environment: credentials come with the experiment.
    task: dict[str, Any] = {"storage_url": store, "environment": cloud.env, "target": 10**6}
    task["bundle"] = desk.code(SAVING)
    first = await desk.start("e-0", **task)
    saved = await desk.saved(first, 3)
    await desk.stop(first, StopReason.PAUSED)
    assert (await desk.exit(first)).outcome is Outcome.STOPPED
    saved = await desk.saved(first, 3)
    assert set(checkpoints.load(saved.checkpoint.url)) == {"model", "_random"}
    second = await desk.start("e-0", attempt=2, checkpoint=saved.checkpoint, **task)
    last = await desk.saved(second, saved.checkpoint.step + 1)
    await desk.stop(second, StopReason.CLOSED)
    await desk.exit(second)
    assert (await desk.weights(second)).split()[1] == str(saved.checkpoint.step)
    last = await desk.saved(second, last.checkpoint.step)

    await desk.say(ev.TrialCheckpointed(
        experiment_id="e", trial_id="e-0", checkpoint=last.checkpoint))  # fmt: skip
    await desk.say(ev.SearchCompleted(experiment_id="e", reason="over"))
    gone = saved.checkpoint.url.rsplit("-", 1)[0] + "-2"
    await desk.find(ev.CheckpointRemoved, lambda e: e.url == gone)
    files = fsspec.filesystem(cloud.protocol)
    files.invalidate_cache()
    assert not files.exists(gone)
    assert files.exists(f"{last.checkpoint.url}/{checkpoints.MANIFEST}")
    assert files.exists(f"{store}/e-0/a1/logs/rank-0.stdout")


@pytest.mark.parametrize("cloud", ["s3"], indirect=True)  # gs: it has no moveTo, and gcsfs insists
async def test_a_bundle_in_a_bucket(desk: Desk, cloud: Cloud, tmp_path: Path) -> None:
    data = Path(desk.bundle.url.removeprefix("file://")).read_bytes()

    async def body() -> AsyncIterator[bytes]:
        yield data

    bucket = f"{cloud.protocol}://shoal"
    kept = await Bundles(bucket, 2**20).store(body())
    assert kept.url.startswith(f"{bucket}/bundles/")
    assert (stage(tmp_path, "run", kept) / "train.py").exists()


async def test_storage_that_a_worker_cannot_use_ends_the_run_with_a_sentence(desk: Desk) -> None:
    await desk.begin(SHOAL_WARM="0")
    end = await desk.exit(await desk.start("e-0", storage_url="nowhere://b"))
    assert end.outcome is Outcome.LOST
    assert "nowhere:// is no kind of storage" in end.reason
