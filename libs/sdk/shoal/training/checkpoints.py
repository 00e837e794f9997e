"""Checkpoints: files in a folder of storage, complete once their manifest is there."""

import hashlib
import io
import json
import random
import sys
from collections.abc import Mapping
from typing import Any

import fsspec

from shoal_contract.events import Checkpoint

MANIFEST = "manifest.json"


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used; the text says which file, and why."""


def random_state() -> dict[str, Any]:
    """This process's random states: Python's, NumPy's and torch's (CUDA's too), as tensors and
    plain values, so that they load with `weights_only=True`."""
    import torch

    version, words, gauss = random.getstate()
    state: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "torch": torch.get_rng_state(),
    }
    if "numpy" in sys.modules:  # where it was not imported, it has drawn nothing
        import numpy as np

        name, keys, pos, has_gauss, cached = np.random.get_state(legacy=True)
        state["numpy"] = [name, [int(k) for k in keys], int(pos), int(has_gauss), float(cached)]
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Set what `random_state` returned."""
    import torch

    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    if "numpy" in state:
        import numpy as np

        name, keys, pos, has_gauss, cached = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), pos, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def save(url: str, parts: Mapping[str, Any], *, step: int, attempt: int) -> Checkpoint:
    """Write each of `parts` with torch.save, then the manifest; returns what was written."""
    import torch

    fs, path = fsspec.core.url_to_fs(url)
    fs.makedirs(path, exist_ok=True)
    files: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        buffer = io.BytesIO()
        torch.save(part, buffer)
        data = buffer.getvalue()
        with fs.open(f"{path}/{name}.pt", "wb") as file:
            file.write(data)
        files[f"{name}.pt"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = json.dumps({"step": step, "attempt": attempt, "files": files}, indent=1)
    with fs.open(f"{path}/{MANIFEST}.draft", "w") as file:
        file.write(manifest)
    fs.mv(f"{path}/{MANIFEST}.draft", f"{path}/{MANIFEST}")
    size = sum(int(f["size"]) for f in files.values())
    return Checkpoint(url=url, step=step, attempt=attempt, size=size)


def load(url: str) -> dict[str, Any]:
    """The parts of a checkpoint, by name, on the CPU; every file is checked against the manifest.

    Raises CheckpointError if a file is missing or is not what was written.
    """
    import torch

    fs, path = fsspec.core.url_to_fs(url)
    parts: dict[str, Any] = {}
    try:
        with fs.open(f"{path}/{MANIFEST}", "r") as file:
            manifest = json.load(file)
        for name, about in manifest["files"].items():
            with fs.open(f"{path}/{name}", "rb") as file:
                data = file.read()
            if hashlib.sha256(data).hexdigest() != about["sha256"]:
                raise CheckpointError(f"{url}/{name} is not what was saved: its checksum differs")
            parts[name.removesuffix(".pt")] = torch.load(
                io.BytesIO(data), map_location="cpu", weights_only=True
            )
    except (OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"the checkpoint {url} cannot be read: {error}") from error
    return parts
