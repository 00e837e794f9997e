"""States that lie in pieces over the ranks (FSDP, tensor parallel): torch.distributed.checkpoint.

Each rank writes its own pieces; they can be loaded by another number of ranks. The collectives run
in a group of their own, over gloo, so that a write in the background does not meet the training's.
https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from shoal.training.checkpoints import CheckpointError, Folder
from shoal.training.restoring import keep_hyperparameters, put_hyperparameters
from shoal_contract.events.trial import Inherits

FOLDER = "sharded"
_groups: list[Any] = []


def split(parts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts that are whole on each rank, and the models and optimizers in pieces."""
    pieces = {name: part for name, part in parts.items() if _in_pieces(part)}
    return {name: part for name, part in parts.items() if name not in pieces}, pieces


def _in_pieces(part: Any) -> bool:
    module = sys.modules.get("torch.distributed.tensor")
    if module is None:  # then nobody made one
        return False
    if hasattr(part, "param_groups"):
        tensors = [p for group in part.param_groups for p in group["params"]]
    elif hasattr(part, "parameters"):
        tensors = list(part.parameters())
    else:
        return False
    return any(isinstance(tensor, module.DTensor) for tensor in tensors)


def states(pieces: Mapping[str, Any]) -> dict[str, Any]:
    """The states, by the full names of the parameters. An optimizer needs its model beside it.

    Raises ValueError where the model of an optimizer is not among the parts.
    """
    from torch.distributed.checkpoint import state_dict as api

    found: dict[str, Any] = {}
    for name, part in pieces.items():
        if hasattr(part, "param_groups"):
            found[name] = api.get_optimizer_state_dict(_owner(name, part, pieces), part)
        else:
            found[name] = api.get_model_state_dict(part)
    return found


def snapshot(pieces: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of this rank's pieces on the CPU."""
    from torch.distributed.checkpoint.staging import BlockingAsyncStager

    return dict(BlockingAsyncStager().stage(states(pieces)))


def group() -> Any:
    """The group in which checkpoints are written. Every rank must call it when first needed."""
    import torch.distributed as dist

    if not _groups:
        _groups.append(dist.new_group(backend="gloo"))
    return _groups[0]


def together(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns on all ranks, as one. Where it fails on one, it fails on all:
    CheckpointError if that was one, else OSError. Every rank must call it."""
    import torch.distributed as dist

    found: dict[str, Any] = {}
    failure: tuple[bool, str] | None = None
    try:
        found = work()
    except BaseException as error:  # torch has one that is no Exception
        failure = isinstance(error, CheckpointError), str(error) or repr(error)
    everybody: list[Any] = [None] * dist.get_world_size(group())
    dist.all_gather_object(everybody, (found, failure), group=group())
    failures = {rank: why for rank, (_, why) in enumerate(everybody) if why is not None}
    if failures:
        told = "; ".join(f"rank {rank}: {text}" for rank, (_, text) in failures.items())
        raise CheckpointError(told) if any(f for f, _ in failures.values()) else OSError(told)
    return {name: entry for entries, _ in everybody for name, entry in entries.items()}


def write(url: str, taken: dict[str, Any], rank: int) -> dict[str, Any]:
    """Write this rank's pieces, together with all others; returns everybody's entries for the
    manifest. Fails as `together` does. Every rank must call it."""
    from torch.distributed.checkpoint._fsspec_filesystem import FsspecWriter
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    url = f"{url}/{FOLDER}"

    def pieces() -> dict[str, Any]:
        inner = Folder(url)
        if inner.local_path is not None:
            writer: Any = FileSystemWriter(inner.local_path)
        else:
            writer = FsspecWriter(url)
        save(taken, storage_writer=writer, process_group=group())
        return {
            f"{FOLDER}/{name}": inner.about(name)
            for name in inner.names()
            if name.startswith(f"__{rank}_") or (rank == 0 and name == ".metadata")
        }

    return together(pieces)


def load(folder: Folder, pieces: Mapping[str, Any], inherits: Inherits) -> None:
    """Load into models and optimizers in pieces. Every rank must call it.

    Each rank checks its share of the files. Raises CheckpointError as `checkpoints.load` does.
    """
    import torch.distributed as dist
    from torch.distributed.checkpoint import state_dict as api
    from torch.distributed.checkpoint import state_dict_loader
    from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader
    from torch.distributed.checkpoint.filesystem import FileSystemReader

    files = [
        (name, entry)
        for name, entry in folder.manifest()["files"].items()
        if name.startswith(f"{FOLDER}/")
    ]
    for name, entry in files[dist.get_rank() :: dist.get_world_size()]:
        folder.check(name, entry)
    url = f"{folder.url}/{FOLDER}"
    local = Folder(url).local_path
    reader: Any = FileSystemReader(local) if local is not None else FsspecReader(url)
    own = {
        name: keep_hyperparameters(part)
        for name, part in pieces.items()
        if hasattr(part, "param_groups")
    }
    found = states(pieces)
    state_dict_loader.load(found, storage_reader=reader, process_group=group())
    for name, part in pieces.items():
        if name in own:
            owner = _owner(name, part, pieces)
            api.set_optimizer_state_dict(owner, part, optim_state_dict=found[name])
            if inherits != "nothing":
                put_hyperparameters(part, own[name])
        else:
            api.set_model_state_dict(part, model_state_dict=found[name])


def _owner(name: str, optimizer: Any, pieces: Mapping[str, Any]) -> Any:
    first = optimizer.param_groups[0]["params"][0]
    for part in pieces.values():
        if hasattr(part, "parameters") and any(p is first for p in part.parameters()):
            return part
    raise ValueError(
        f"{name!r} is the optimizer of a model in pieces: save and restore that model beside it"
    )
