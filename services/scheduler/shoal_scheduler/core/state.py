"""What the scheduler knows. Plain models and dicts; only `evolve` changes them."""

from dataclasses import dataclass, field, fields, replace

from shoal_contract.events import Want
from shoal_scheduler.core.index import Index
from shoal_scheduler.core.models import (
    Allocation,
    Month,
    Node,
    Past,
    Return,
    Run,
    Share,
)
from shoal_scheduler.core.pools import Pools
from shoal_scheduler.core.tables import Fork, settle

REMEMBERED = 20_000
"""Trials, nodes and experiments that are remembered after their end: more than messages about them
can be under way (the bus remembers as many causes)."""


@dataclass(kw_only=True)
class State:
    """Everything. Order is by `number`, never by a table's own order."""

    nodes: dict[str, Node] = field(default_factory=dict)
    allocations: dict[str, Allocation] = field(default_factory=dict)
    """Those that have not ended."""
    current: dict[str, str] = field(default_factory=dict)
    """Trial to its allocation."""
    past: dict[str, Past] = field(default_factory=dict)
    """Trial to its last allocation, of the last `REMEMBERED` that ended."""
    returns: dict[str, Return] = field(default_factory=dict)
    """Trials that are about to come back."""
    demand: dict[str, list[Want]] = field(default_factory=dict)
    """What was said last of each pool."""
    gone: dict[str, str] = field(default_factory=dict)
    """`<node>/<incarnation>` of the last nodes that were removed, to the reason: none returns."""
    shares: dict[str, Share] = field(default_factory=dict)
    """Experiment to what a person changed."""
    speeds: dict[str, dict[str, float]] = field(default_factory=dict)
    """Program to model of slot to steps a second and slot, as measured last; see `speeds.py`."""
    ratios: dict[str, float] = field(default_factory=dict)
    """Two models to the logarithm of how much faster the first is."""
    strides: dict[str, float] = field(default_factory=dict)
    """Program to units of its time metric a step, as reported last."""
    months: dict[str, Month] = field(default_factory=dict)
    """Workspace to the last month in which something of it ended; see `quotas.py`."""
    counter: int = 0
    """Numbers that were given out."""

    def __post_init__(self) -> None:
        """What follows from the rest is kept for quick answers; it is no part of a dump."""
        self.index = Index(shares=self.shares, months=self.months)

    def reindex(self, pools: Pools) -> None:
        """Build the index anew, under other settings."""
        self.index = index = Index(pools, self.shares, self.months)
        for allocation in self.allocations.values():
            if allocation.runs:
                index.hold(allocation)
        for node in self.nodes.values():
            index.see(node)
        for allocation in self.allocations.values():
            if not allocation.runs:
                index.enqueue(allocation)

    def fork(self) -> "State":
        """A state that begins as this one is, to plan on. This one must not change meanwhile."""
        fork = State.__new__(State)  # without an index of its own to be thrown away
        fork.nodes = Fork(self.nodes, Node.copied)
        fork.allocations = Fork(self.allocations, Allocation.copied)
        fork.current, fork.past = Fork(self.current), Fork(self.past)
        fork.returns = Fork(self.returns)
        fork.demand, fork.gone = Fork(self.demand), Fork(self.gone)
        fork.shares, fork.ratios = Fork(self.shares), Fork(self.ratios)
        fork.speeds, fork.strides = Fork(self.speeds, dict), Fork(self.strides)
        fork.counter = self.counter
        fork.months = Fork(self.months, replace)
        fork.index = self.index.fork(fork.shares, fork.months)
        return fork

    def settle(self, base: "State") -> "State":
        """The state that this is a fork of, changed as this was."""
        self.index.settle(base.index)
        settle(self, base, _PARTS)
        return base

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
        return self.index.held.get(experiment_id, 0)


_PARTS = tuple(part.name for part in fields(State))
