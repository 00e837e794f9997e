"""What several events carry: slots, and a gang's places on them."""

from typing import Literal

from shoal_contract.base import Frozen, Id
from shoal_contract.events.trial import Task


def gigabytes(memory: int) -> int:
    """Bytes as makers count them: a V100 that shows 16.9e9 has 17 GB, a T4 of 15.8e9 has 16."""
    return round(memory / 1e9)


class Slot(Frozen):
    """A schedulable unit: one GPU, or one share of the CPU."""

    number: int
    kind: Literal["cpu", "cuda"]
    model: str
    """As the driver names it, e.g. `Tesla V100-SXM2-16GB`; `cpu` for a CPU."""
    memory: int = 0
    """Bytes; 0: not known."""
    uuid: str = ""
    """The device's own id, if it has one."""

    @property
    def gigabytes(self) -> int:
        """Its memory as makers count."""
        return gigabytes(self.memory)


class Placement(Frozen):
    """A gang's share of one node. Ranks count up over the placements, in their order."""

    node_id: Id
    incarnation: Id
    slots: list[int]
    """Slot numbers on that node; one rank each."""


class Rendezvous(Frozen):
    """Where the ranks of a gang meet: the address of rank 0's node and a port that it offered."""

    host: str
    port: int


class RunOrder(Frozen):
    """One node's part of a gang."""

    allocation_id: Id
    run_id: Id
    node_rank: int
    first_rank: int
    """Global rank of the first local rank; the others follow."""
    slots: list[int]
    world_size: int
    nodes: int = 1
    """Of the gang."""
    rendezvous: Rendezvous
    task: Task
