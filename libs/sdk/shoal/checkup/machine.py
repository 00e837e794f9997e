"""This machine: Python, torch, GPUs, disk, the port of `shoal up`."""

import json
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from shoal.checkup.finding import Finding, fail, ok, warn

OLDEST = (3, 11)
TORCH_WAIT = 120.0
"""Seconds that an import of torch may take."""
SCARCE, EMPTY = 10e9, 1e9
"""Bytes of free disk below which there is a warning, and a failure."""
_ASK_TORCH = """
import json, torch
found = {"version": torch.__version__, "cuda": torch.version.cuda, "gpus": 0}
if torch.cuda.is_available():
    found["gpus"] = torch.cuda.device_count()
print(json.dumps(found))
"""


def machine(home: Path, port: int = 8080, *, up: bool = False) -> Iterator[Finding]:
    """Findings on this machine. `up`: whether a platform runs here and has the port."""
    yield python(sys.version_info[:3])
    found = gpus()
    yield gpus_seen(found)
    yield torch(len(found or ()))
    yield disk(home)
    if not up:
        yield free_port(port)


def python(version: tuple[int, ...]) -> Finding:
    """The interpreter."""
    words = ".".join(map(str, version))
    if version < OLDEST:
        todo = "install Python 3.11 or newer, and the command there"
        return fail("Python", f"{words} is too old", todo)
    return ok("Python", f"{words} on {platform.system()} ({platform.machine()})")


def gpus() -> list[str] | None:
    """What NVIDIA's driver calls this machine's GPUs; None: there is no such driver."""
    if find_spec("pynvml") is None:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except pynvml.NVMLError:
        return None


def gpus_seen(found: list[str] | None) -> Finding:
    """What the driver tells."""
    if found is None:
        return ok("GPUs", "no NVIDIA driver here: slots are shares of the CPU")
    return ok("GPUs", f"the driver tells of {len(found)}: {', '.join(sorted(set(found)))}")


def torch(gpus: int) -> Finding:
    """Whether torch can be imported, and sees what the driver tells of."""
    if find_spec("torch") is None:
        todo = "pip install torch, in the Python in which scripts run"
        return warn("torch", "is not installed here", todo)
    try:
        out = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=TORCH_WAIT
        )
    except subprocess.TimeoutExpired:
        todo = "look at the disk that it is on"
        return fail("torch", f"its import takes more than {TORCH_WAIT:.0f} s", todo)
    if out.returncode:
        last = (out.stderr.strip().splitlines() or ["no word"])[-1]
        return fail("torch", f"cannot be imported: {last}", "pip install --force-reinstall torch")
    found = json.loads(out.stdout.splitlines()[-1])
    words = f"{found['version']}, sees {found['gpus']} GPUs"
    if found["gpus"] < gpus:
        todo = "install a build of torch for the CUDA version of the driver (https://pytorch.org)"
        return fail("torch", f"{words} of {gpus}", todo)
    return ok("torch", words)


def disk(folder: Path) -> Finding:
    """Free space where the platform of this machine keeps everything."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    words = f"{free / 1e9:.1f} GB free at {there}"
    if free < EMPTY:
        return fail("Disk", words, "make room, or choose another folder with --state-dir")
    if free < SCARCE:
        return warn("Disk", words, "checkpoints fill that soon: make room")
    return ok("Disk", words)


def free_port(port: int) -> Finding:
    """Whether `shoal up` could have its port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            todo = "`shoal up --port 0` takes a free one"
            return warn("Port", f"{port}, which `shoal up` takes, is taken by another", todo)
    return ok("Port", f"{port} is free for `shoal up`")
