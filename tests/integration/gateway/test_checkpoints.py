"""Checkpoints as people see them: what is listed, what is asked for, what is downloaded."""

import asyncio
import os
import sys
from pathlib import Path

from shoal.training import checkpoints
from shoal_contract.events import (
    Checkpoint,
    CheckpointChangeRequested,
    CheckpointRemoved,
    CheckpointSaved,
)

from .conftest import Gateway
from .test_gateway import publish, trial_events
from .test_requests import asked, refused


async def saved(gateway: Gateway, e: str) -> Checkpoint:
    """A checkpoint of one trial, in storage and in the read models."""
    url = f"file://{gateway.storage}/{e}-0/a1/step-2"
    found = checkpoints.save(url, {"x": [1.0] * 1000}, step=2, attempt=1)
    event = CheckpointSaved(
        experiment_id=e, trial_id=f"{e}-0", allocation_id=f"{e}-0-a1", checkpoint=found
    )
    await publish(gateway, *trial_events(e), event)
    await gateway.until(f"/v1/experiments/{e}/checkpoints", lambda x: x["items"])
    return found


async def command(gateway: Gateway, folder: Path, *arguments: str) -> tuple[int, str, str]:
    """`shoal checkpoint ...`: exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from shoal.cli.app import main; main()", "checkpoint", *arguments,
        env={**os.environ, "SHOAL_URL": gateway.url, "COLUMNS": "200"}, cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_checkpoint_is_pinned_and_removed(gateway: Gateway) -> None:
    e = await gateway.submit()
    found = await saved(gateway, e)
    one = f"{e}/checkpoints/{e}-0-a1-s2"

    async def state() -> str:
        return str((await gateway.get(f"/v1/experiments/{one}"))["state"])

    assert await state() == "saved"
    for method, path, then in (("POST", "/pin", "pinned"), ("POST", "/unpin", "saved")):
        response = await gateway.http.request(method, f"/v1/experiments/{one}{path}")
        assert response.status_code == 202, response.text
        assert await state() == then
        if then == "pinned":
            assert "unpin it first" in await refused(gateway, "DELETE", one, 409)
    assert (await gateway.http.delete(f"/v1/experiments/{one}")).status_code == 202
    assert await state() == "leaving"
    requests = [r for r in await asked(gateway) if isinstance(r, CheckpointChangeRequested)]
    assert [(r.url, r.change) for r in requests] == [
        (found.url, "pin"), (found.url, "unpin"), (found.url, "remove"),
    ]  # fmt: skip
    gone = CheckpointRemoved(experiment_id=e, trial_id=f"{e}-0", url=found.url)
    await publish(gateway, gone)
    await gateway.until(f"/v1/experiments/{one}", lambda x: x["state"] == "removed")
    assert (await gateway.get(f"/v1/experiments/{e}/checkpoints"))["items"] == []
    (item,) = (await gateway.get(f"/v1/experiments/{e}/checkpoints", removed=True))["items"]
    assert item["removed_at"] > item["saved_at"]
    assert "was removed" in await refused(gateway, "POST", f"{one}/pin", 409)


async def test_what_is_not_there(gateway: Gateway) -> None:
    e = await gateway.submit()
    await saved(gateway, e)
    assert "checkpoint" in await refused(gateway, "DELETE", f"{e}/checkpoints/{e}-0-a1-s3", 404)
    for name in (f"{e}-7-a1-s2", "nope"):
        await refused(gateway, "DELETE", f"{e}/checkpoints/{name}", 404)
    await refused(gateway, "POST", f"{e}/checkpoints/{e}-0-a1-s2/frame", 422)


async def test_the_command(gateway: Gateway, tmp_path: Path) -> None:
    e = await gateway.submit()
    found = await saved(gateway, e)
    one = f"{e}-0-a1-s2"
    code, out, err = await command(gateway, tmp_path, "ls", e)
    assert (code, one in out, "saved" in out) == (0, True, True), err
    code, out, err = await command(gateway, tmp_path, "download", one)
    assert (code, out) == (0, f"{one} is in {one}.\n"), err
    copy = checkpoints.load(f"file://{tmp_path / one}")
    assert copy == {"x": [1.0] * 1000}
    code, _, err = await command(gateway, tmp_path, "download", one)
    assert (code, "exists" in err) == (1, True)
    code, out, _ = await command(gateway, tmp_path, "pin", one)
    assert code == 0
    code, _, err = await command(gateway, tmp_path, "rm", one)
    assert (code, err.count("\n"), "unpin" in err) == (1, 1, True)

    file = Path(found.url.removeprefix("file://")) / "x.pt"
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(bytes(data))
    code, _, err = await command(gateway, tmp_path, "download", one, "again")
    assert (code, err.count("\n"), "checksum" in err) == (1, 1, True), err
    assert not [p for p in tmp_path.iterdir() if "again" in p.name]
