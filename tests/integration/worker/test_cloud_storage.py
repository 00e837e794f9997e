"""A trial whose checkpoints are in S3, spoken by a real server: saved, loaded, and cleaned up."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import fsspec
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


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The variables by which an S3 server, with a bucket `shoal`, is found and entered."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "hush",
    }  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    try:
        wait_for_port(port, server)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        fsspec.filesystem("s3").mkdir("shoal")
        yield env
    finally:
        server.kill()
        server.wait()


async def test_a_trial_in_s3(desk: Desk, account: dict[str, str]) -> None:
    store = "s3://shoal/store"
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
    await desk.begin(**account)
    # Ranks get nothing of the worker's environment: credentials come with the experiment.
    task: dict[str, Any] = {"storage_url": store, "environment": account, "target": 10**6}
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
    files = fsspec.filesystem("s3")
    files.invalidate_cache()
    assert not files.exists(gone)
    assert files.exists(f"{last.checkpoint.url}/{checkpoints.MANIFEST}")
    assert files.exists(f"{store}/e-0/a1/logs/rank-0.stdout")


async def test_a_bundle_in_s3(desk: Desk, account: dict[str, str], tmp_path: Path) -> None:
    data = Path(desk.bundle.url.removeprefix("file://")).read_bytes()

    async def body() -> AsyncIterator[bytes]:
        yield data

    kept = await Bundles("s3://shoal", 2**20).store(body())
    assert kept.url.startswith("s3://shoal/bundles/")
    assert (stage(tmp_path, "run", kept) / "train.py").exists()


async def test_storage_that_a_worker_cannot_use_ends_the_run_with_a_sentence(desk: Desk) -> None:
    await desk.begin(SHOAL_WARM="0")
    end = await desk.exit(await desk.start("e-0", storage_url="nowhere://b"))
    assert end.outcome is Outcome.LOST
    assert "nowhere:// is no kind of storage" in end.reason
