"""The start-up script, run by bash against a metadata server. `systemd-run`, which needs an init
system, is a script that keeps its arguments."""

import asyncio
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from fakes.metadata import FakeMetadata, serving
from unit.provisioner.spot import GCP, KIND, spot_pool

from shoal_provisioner.shell.drivers.gcp.template import start_script, template_of

SECRET = "projects/lab/secrets/shoal-join"
VALUES = {
    "name": "shoal-p-7",
    "network-interfaces/0/ip": "10.0.0.7",
    "attributes/shoal-nats-url": "nats://10.0.0.2:4222",
    "attributes/shoal-join-token": "t0ken",
}
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


async def started(fake: FakeMetadata, folder: Path, **gcp: str) -> tuple[int, str, str]:
    """The script's exit code, what it said, and the worker's environment."""
    pool = spot_pool(gcp={**GCP, "python": sys.executable, **gcp})
    script = start_script("shoal", pool, pool.its_kinds[0])
    stub = folder / "bin" / "systemd-run"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@" >{folder}/systemd-run\n')
    stub.chmod(0o755)
    with serving(fake) as address:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", script,
            env={
                "PATH": f"{stub.parent}:{os.environ['PATH']}",
                "GCE_METADATA_HOST": address,
                "SHOAL_SECRETS_URL": f"http://{address}",
                "SHOAL_STATE_DIR": str(folder / "state"),
                "RUNTIME_DIRECTORY": str(folder),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    env = folder / "shoal-worker.env"
    return process.returncode or 0, said.decode(), env.read_text() if env.exists() else ""


async def test_a_worker_gets_its_settings_and_its_token(tmp_path):
    fake = FakeMetadata(VALUES)
    code, said, env = await started(fake, tmp_path)
    assert (code, said) == (0, "")
    assert dict(line.split("=", 1) for line in env.splitlines()) == {
        "SHOAL_NODE_ID": "p-7",
        "SHOAL_INSTANCE_ID": "p-7",
        "SHOAL_HOST": "10.0.0.7",
        "SHOAL_NATS_URL": "nats://10.0.0.2:4222",
        "SHOAL_NATS_TOKEN": "t0ken",
        "SHOAL_METADATA_URL": env.split("SHOAL_METADATA_URL=")[1].split()[0],
        "SHOAL_POOL": "p",
        "SHOAL_SLOTS": "1",
        "SHOAL_DEVICES": "cuda",
        "SHOAL_STATE_DIR": str(tmp_path / "state"),
    }
    assert stat.S_IMODE((tmp_path / "shoal-worker.env").stat().st_mode) == 0o600
    unit = (tmp_path / "systemd-run").read_text()
    assert unit.strip().endswith(f"{sys.executable} -m shoal_worker")
    assert "t0ken" not in unit


async def test_a_token_of_secret_manager_is_in_no_metadata(tmp_path):
    fake = FakeMetadata(
        {k: v for k, v in VALUES.items() if "token" not in k}, {SECRET: "s3cret"}, failing=1
    )
    code, said, env = await started(fake, tmp_path, join_secret=SECRET)
    assert (code, said) == (0, "")
    assert "SHOAL_NATS_TOKEN=s3cret\n" in env
    pool = spot_pool(gcp={**GCP, "join_secret": SECRET})
    template = template_of("shoal", pool, pool.its_kinds[0], "us-central1", True, "t0ken", 0)
    items = {item.key: item.value for item in template.properties.metadata.items}
    assert "t0ken" not in "".join(items.values())
    assert "shoal-join-token" not in items
    labels = template.properties.labels
    assert labels == {"shoal-cluster": "shoal", "shoal-pool": "p", "shoal-kind": KIND}


async def test_without_its_secret_no_worker_starts(tmp_path):
    code, _, env = await started(FakeMetadata(VALUES), tmp_path, join_secret=SECRET)
    assert code != 0
    assert env == ""
    assert not (tmp_path / "systemd-run").exists()


async def test_a_machine_without_a_token_joins_without(tmp_path):
    values = {k: v for k, v in VALUES.items() if "token" not in k}
    code, _, env = await started(FakeMetadata(values), tmp_path)
    assert code == 0
    assert "SHOAL_NATS_TOKEN=\n" in env
