"""Ranks among themselves: meeting, and agreeing."""

import atexit
import functools
import os
import socket
from datetime import timedelta
from typing import Any

MEETING = timedelta(seconds=60)
"""How long ranks wait for one another at the start before they give up."""
TOGETHER = timedelta(minutes=30)
"""How long they wait for one another later: rank 0 may be at a large checkpoint, or wait for the
searcher's word. A rank that is gone is noticed by its closed connection, or by the scheduler."""


def meet() -> None:
    """Form the default process group, unless it is formed.

    Raises RuntimeError, saying who waited where, on which port, and for whom.
    """
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = _store(rank, size)
    store.set_timeout(TOGETHER)
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=store,
            rank=rank,
            world_size=size,
            timeout=TOGETHER,
        )
    except Exception as error:
        nic = os.environ.get("GLOO_SOCKET_IFNAME", "that of its host name")
        raise RuntimeError(
            f"rank {rank} of {size} on {socket.gethostname()} met the others, but could not connect"
            f" to them over the network interface {nic}: is it the right one (SHOAL_NIC of the"
            f" worker), and do machines reach each other at all ports? ({error})"
        ) from error
    atexit.register(_part)


def _store(rank: int, size: int) -> Any:
    """The store at which ranks meet, once all are there. Raises RuntimeError."""
    import torch.distributed as dist

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    me = f"rank {rank} of {size} on {socket.gethostname()}"
    try:
        store = dist.TCPStore(  # type: ignore[attr-defined]
            host, port, size, is_master=rank == 0, timeout=MEETING, wait_for_workers=False
        )
    except Exception as error:
        what = "listen for the others" if rank == 0 else "reach rank 0"
        raise RuntimeError(
            f"{me} could not {what} at {host}:{port} within {MEETING.seconds} s: is that the"
            f" address of rank 0's machine, and that port free there and open to all? ({error})"
        ) from error
    store.set(f"shoal/{rank}", socket.gethostname())
    try:
        store.wait([f"shoal/{other}" for other in range(size)], MEETING)
    except Exception as error:
        late = [str(other) for other in range(size) if not store.check([f"shoal/{other}"])]
        raise RuntimeError(
            f"{me} waited at {host}:{port} for {MEETING.seconds} s, and rank {', '.join(late)} did"
            " not come: did it fail before, or can its machine not reach that address and port?"
        ) from error
    return store


def _part() -> None:
    """Take the group apart in order: a process that just ends can abort its peers' threads."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def agree(flag: bool, calls: int) -> tuple[bool, int]:
    """Whether `flag` is true on any rank, and the least `calls`; the same answer on all. Every rank
    must call it."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return flag, calls
    tensor = torch.tensor([int(flag), -calls], device=_device())
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    told, fewest = tensor.tolist()
    return bool(told), -fewest


@functools.cache
def _device() -> str:
    """Where the default group exchanges a number: a library may have formed it for CUDA alone."""
    import torch
    import torch.distributed as dist

    try:
        dist.group.WORLD._get_backend(torch.device("cpu"))  # type: ignore[union-attr]
    except RuntimeError:
        return "cuda"
    return "cpu"


def gather(value: Any) -> list[Any]:
    """Every rank's `value`, by rank. Every rank must call it."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found
