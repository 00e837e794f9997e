"""The variables by which a rank finds itself: those that torchrun gives.

https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

from collections.abc import Sequence

from shoal_contract.events import RunOrder, Slot
from shoal_worker.shell import network


def threads(slots: Sequence[Slot]) -> dict[str, str]:
    """How many threads a rank computes in that has one of these slots: a share of the CPU is one.
    The warm process is the same, as libraries look when they are loaded."""
    return {} if any(slot.kind == "cuda" for slot in slots) else {"OMP_NUM_THREADS": "1"}


def of_rank(order: RunOrder, local: int, gpus: Sequence[Slot], nic: str) -> dict[str, str]:
    """Those of the `local`-th rank of a run whose slots are these GPUs, or shares of the CPU; what
    the trial sets itself is among them, but for what says who the rank is.

    A group is what runs on one machine. All ranks have one role, and every attempt is a start of
    the whole gang, under one id: that of the allocation.
    """
    task, rank = order.task, str(order.first_rank + local)
    env = {
        "PYTHONUNBUFFERED": "1",
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
        **task.environment,
        "RANK": rank,
        "LOCAL_RANK": str(local),
        "WORLD_SIZE": str(order.world_size),
        "LOCAL_WORLD_SIZE": str(len(order.slots)),
        "GROUP_RANK": str(order.node_rank),
        "GROUP_WORLD_SIZE": str(order.nodes),
        "ROLE_NAME": "default",
        "ROLE_RANK": rank,
        "ROLE_WORLD_SIZE": str(order.world_size),
        "TORCHELASTIC_RESTART_COUNT": str(task.attempt - 1),
        "TORCHELASTIC_MAX_RESTARTS": str(task.max_restarts),
        "TORCHELASTIC_RUN_ID": order.allocation_id,
        "TORCHELASTIC_USE_AGENT_STORE": "False",
        "MASTER_ADDR": order.rendezvous.host,
        "MASTER_PORT": str(order.rendezvous.port),
    }
    if not gpus:
        env["CUDA_VISIBLE_DEVICES"] = ""
    elif task.container is None:  # else it sees no others
        env["CUDA_VISIBLE_DEVICES"] = ",".join(s.uuid or str(s.number) for s in gpus)
    if len(order.slots) > 1:
        env.setdefault("OMP_NUM_THREADS", "1")
    env = {**threads(gpus), **env}
    if nic:
        env.setdefault("GLOO_SOCKET_IFNAME", nic)
    if nic and nic != network.LOOPBACK:
        env.setdefault("NCCL_SOCKET_IFNAME", f"={nic}")
    return env
