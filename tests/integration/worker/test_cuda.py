"""What only a GPU can show. Left out where NVIDIA's driver shows none."""

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from integration.worker.desk import Desk, desk
from integration.worker.test_meeting import rank
from ports import free_port

from shoal.checkup import machine
from shoal.training.randomness import random_state, restore_random_state
from shoal.training.snapshot import Snapshots
from shoal_contract import events as ev
from shoal_contract.states import Outcome, StopReason
from shoal_worker.shell import devices, health, usage
from shoal_worker.shell.nvml import nvml

__all__ = ["desk"]
pytestmark = pytest.mark.skipif(
    not machine.gpus() or not torch.cuda.is_available(), reason="no GPU is here"
)
TRAINING = """
import hashlib, itertools, time, torch, shoal
from torch import nn
torch.use_deterministic_algorithms(True)
run = shoal.init()
assert run.device.type == "cuda" and torch.cuda.device_count() == run.world_size
torch.manual_seed(run.seed)
model = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5), nn.Linear(64, 3)).to(run.device)
optimizer = torch.optim.Adam(model.parameters(), lr=run.hyperparameters["lr"])
first = run.restore(model=model, optimizer=optimizer)
replica = nn.parallel.DistributedDataParallel(model) if run.world_size > 1 else model
for step in itertools.count(first + 1):
    noise = torch.rand(5, 64, device=run.device) + run.rank
    optimizer.zero_grad()
    loss = replica(noise).square().mean()
    loss.backward()
    optimizer.step()
    time.sleep(0.05)
    run.checkpoint(step=step, model=model, optimizer=optimizer)
    run.report(step=step, acc=loss)
    if run.should_stop():
        break
parts = [p.detach().cpu().numpy().tobytes() for p in model.parameters()]
print("weights", step, hashlib.sha256(b"".join(parts)).hexdigest())
"""
DEVICES = """
import torch, shoal
run = shoal.init()
for n in range(torch.cuda.device_count()):
    print("device", torch.cuda.get_device_properties(n).uuid)
run.report(step=1, acc=1.0)
"""
OUTSIDE = """
import torch, shoal
run = shoal.init()
table = torch.zeros(4, device=run.device)
table[torch.tensor([10**9], device=run.device)].cpu()
"""
NCCL = """
import torch, torch.distributed as dist, shoal
from shoal.training import ranks
ranks.meet()
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2).cuda())
model(torch.ones(1, 2, device="cuda")).sum().backward()
total = torch.ones(1, device="cuda")
dist.all_reduce(total)
backend = dist.group.WORLD._get_backend(torch.device("cuda")).name()
print(backend, total.item(), ranks.agree(True, 3), ranks.gather(7))
"""
ENVIRONMENT = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def test_slots_are_what_the_driver_shows() -> None:
    smi = shutil.which("nvidia-smi")
    assert smi is not None
    query = [smi, "--query-gpu=uuid,name", "--format=csv,noheader"]
    shown = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    found = devices.slots()
    assert [f"{slot.uuid}, {slot.model}" for slot in found] == shown.splitlines()
    assert [slot.model for slot in found] == machine.gpus()
    assert all(slot.kind == "cuda" and slot.memory > 2**30 for slot in found)
    assert devices.slots(1) == found[:1]
    assert [slot.kind for slot in devices.slots(2, "cpu")] == ["cpu", "cpu"]


async def test_a_killed_trial_goes_on_bit_for_bit_on_a_gpu(desk: Desk) -> None:
    await desk.begin(SHOAL_DEVICES="cuda", SHOAL_SLOTS="0", SHOAL_USAGE_INTERVAL="0.1")
    task = {"bundle": desk.code(TRAINING), "environment": ENVIRONMENT}
    whole = await desk.start("e-0", **task)
    await desk.reach(whole, 6)
    await desk.stop(whole, StopReason.CLOSED)
    wanted = await desk.weights(whole)
    await desk.exit(whole)

    first = await desk.start("e-1", **task)
    await desk.reach(first, 3)
    started = await desk.find(ev.RunStarted, lambda e: e.run_id == first.run_id)
    os.kill(started.pids[0], signal.SIGKILL)
    assert (await desk.exit(first)).outcome is Outcome.FAILED
    saved = await desk.reach(first, 1)
    second = await desk.start("e-1", attempt=2, checkpoint=saved.checkpoint, **task)
    await desk.reach(second, 6)
    await desk.stop(second, StopReason.CLOSED)
    assert await desk.weights(second) == wanted, saved

    system = await desk.find(ev.TrainingReported, lambda e: "gpu0_use" in e.metrics)
    assert {"gpu0_memory_bytes", "gpu0_temperature", "gpu0_watts"} <= set(system.metrics)
    assert 10 < system.metrics["gpu0_temperature"] < 120


async def test_a_trial_sees_its_own_gpus_alone(desk: Desk) -> None:
    await desk.begin(SHOAL_DEVICES="cuda", SHOAL_SLOTS="0")
    order = await desk.start("e-0", bundle=desk.code(DEVICES))
    log = await desk.find(
        ev.LogWritten, lambda e: any(line.startswith("device") for line in e.lines)
    )
    seen = [line.removeprefix("device ") for line in log.lines if line.startswith("device")]
    assert [f"GPU-{uuid}" for uuid in seen] == [desk.node.slots[0].uuid]
    await desk.exit(order)


async def test_a_fault_of_a_script_is_no_fault_of_its_gpu(desk: Desk) -> None:
    await desk.begin(SHOAL_DEVICES="cuda", SHOAL_SLOTS="0")
    bad = await desk.start("e-0", bundle=desk.code(OUTSIDE))
    end = await desk.exit(bad)
    assert end.outcome is Outcome.FAILED, end
    good = await desk.start("e-1", bundle=desk.code(TRAINING), environment=ENVIRONMENT)
    await desk.reach(good, 1)
    await asyncio.sleep(2 * health.WAIT / 1000)  # an XID would have been heard by now
    assert not [e for e in desk.seen if isinstance(e, ev.NodeDraining)]


def test_nccl_carries_what_is_on_a_gpu_and_gloo_the_rest(tmp_path: Path) -> None:
    where = {"WORLD_SIZE": "1", "NCCL_SOCKET_IFNAME": "lo"}
    process = rank(tmp_path, NCCL, 0, free_port(), **where)
    out, err = process.communicate(timeout=120)
    assert out.split(maxsplit=1) == ["nccl", "1.0 (True, 3) [7]\n"], err


def test_a_snapshot_is_of_the_moment() -> None:
    """Though its copy goes on while the next kernels run."""
    weights = torch.zeros(64_000_000, device="cuda")
    snapshots = Snapshots()
    for value in range(3):
        weights.fill_(value)
        taken = snapshots.take({"w": weights})["w"]
        weights.fill_(-1)
        assert taken.is_pinned()
        assert torch.equal(taken, torch.full_like(taken, value))


def test_the_random_state_of_a_gpu_comes_back() -> None:
    torch.rand(1, device="cuda")
    state = random_state()
    wanted = torch.rand(8, device="cuda")
    restore_random_state(state)
    assert torch.equal(torch.rand(8, device="cuda"), wanted)


def test_nvml_tells_of_use_and_of_faults() -> None:
    with nvml() as lib:
        assert lib is not None
        assert set(usage.of_gpus(lib, [0])) >= {"gpu0_use", "gpu0_memory_bytes"}
        watched = health._registered(lib)
        if watched is not None:  # not each GPU, nor each virtual machine, tells of faults
            assert health.next_fault(lib, watched) is None
