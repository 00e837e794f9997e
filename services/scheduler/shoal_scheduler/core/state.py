"""What the scheduler knows. Plain models and dicts; only `evolve` changes them."""

from pydantic import BaseModel, Field

from shoal_contract.config import Resources
from shoal_contract.events import Placement, Rendezvous, Slot, Task, Want
from shoal_contract.states import AllocationState, NodeState, Outcome, StopReason


class Node(BaseModel):
    """A machine with slots."""

    node_id: str
    incarnation: str
    pool: str
    host: str
    slots: list[Slot]
    ports: list[int]
    instance_id: str | None
    state: NodeState = NodeState.READY
    held: dict[int, str] = Field(default_factory=dict)
    """Slot number to the allocation that holds it."""
    port_uses: int = 0
    """How many rendezvous it has served: ports are taken in turn."""

    def free(self) -> list[int]:
        """Numbers of the slots that nobody holds."""
        return [slot.number for slot in self.slots if slot.number not in self.held]


class Run(BaseModel):
    """An allocation's part on one node."""

    placement: Placement
    outcome: Outcome | None = None
    """None: not over yet."""
    reason: str = ""


class Allocation(BaseModel):
    """One attempt's wish for slots, or its hold on them."""

    allocation_id: str
    experiment_id: str
    trial_id: str
    task: Task
    resources: Resources
    state: AllocationState = AllocationState.QUEUED
    runs: dict[str, Run] = Field(default_factory=dict)
    """Run id to run, in the order of ranks."""
    rendezvous: Rendezvous | None = None
    granted_at: float = 0
    stop_reason: StopReason | None = None
    """Why its runs were told to stop; None: they were not."""
    grace: float = 0
    """Seconds that its runs were given to leave."""

    def open_runs(self) -> dict[str, Run]:
        """The runs that are not over."""
        return {name: run for name, run in self.runs.items() if run.outcome is None}

    @property
    def slots(self) -> int:
        """Slots it holds."""
        return sum(len(run.placement.slots) for run in self.runs.values())


class State(BaseModel):
    """Everything."""

    nodes: dict[str, Node] = Field(default_factory=dict)
    allocations: dict[str, Allocation] = Field(default_factory=dict)
    """Those that have not ended, in the order of queueing."""
    attempts: dict[str, int] = Field(default_factory=dict)
    """Trial to the number of its last attempt, so that an old request is not queued again."""
    current: dict[str, str] = Field(default_factory=dict)
    """Trial to its allocation."""
    demand: dict[str, list[Want]] = Field(default_factory=dict)
    """What was said last of each pool."""
    gone: dict[str, str] = Field(default_factory=dict)
    """`<node>/<incarnation>` of every node that was removed, to the reason: it never returns."""

    def of_trial(self, trial_id: str) -> Allocation | None:
        """The trial's allocation, if it has one that has not ended."""
        return self.allocations.get(self.current.get(trial_id, ""))

    def of_run(self, allocation_id: str, run_id: str) -> tuple[Allocation, Run] | None:
        """A run that is not over, and its allocation."""
        allocation = self.allocations.get(allocation_id)
        run = allocation.runs.get(run_id) if allocation else None
        return (allocation, run) if allocation and run and run.outcome is None else None

    def held_by(self, experiment_id: str) -> int:
        """Slots that an experiment holds."""
        return sum(a.slots for a in self.allocations.values() if a.experiment_id == experiment_id)
