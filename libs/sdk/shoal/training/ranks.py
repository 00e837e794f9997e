"""Ranks among themselves: meeting, and agreeing."""

import atexit
import os
from datetime import timedelta
from typing import Any

MEETING = timedelta(seconds=60)
"""How long ranks wait for one another before they give up."""


def meet() -> None:
    """Form the default process group, unless it is formed. Raises RuntimeError, saying where."""
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=MEETING)
    except Exception as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise RuntimeError(
            f"rank {os.environ.get('RANK')} of {os.environ.get('WORLD_SIZE')} could not meet the"
            f" others at {where} within {MEETING.seconds} s; are that address and port reachable"
            f" from every node? ({error})"
        ) from error
    atexit.register(_part)


def _part() -> None:
    """Take the group apart in order: a process that just ends can abort its peers' threads."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def anyone(flag: bool) -> bool:
    """Whether `flag` is true on any rank; the same answer on all. Every rank must call it."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return flag
    tensor = torch.tensor([int(flag)])
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return bool(tensor.item())


def gather(value: Any) -> list[Any]:
    """Every rank's `value`, by rank. Every rank must call it."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found
