"""Requests that are alike, and places in lines."""

from typing import NamedTuple

from shoal_scheduler.core.models import Allocation


class Batch(NamedTuple):
    """Requests that are alike: they wait in one line, and only the first counts."""

    pool: str
    experiment_id: str
    workspace: str
    slots: int
    slot_type: str
    slot_memory: int
    """GB; 0: any."""
    max_slots: int
    """As the experiment's file says; 0: no limit."""
    weight: float
    """As the experiment's file says."""
    single_node: bool
    avoid: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    last: bool
    """Whether it has been widened to no pool after this one: only there it counts as missing."""


class Entry(NamedTuple):
    """A place in a line."""

    rank: float
    """Decides first: what the pool's policy goes by."""
    number: float
    allocation_id: str


class Head(NamedTuple):
    """The first of a batch that may start, among the first of all others in its pool."""

    rank: float
    number: float
    allocation_id: str
    batch: Batch
    ready: int
    """How many of the batch could start now, were there room."""


def batch_of(allocation: Allocation, pool: str) -> Batch:
    """The batch that an allocation waits in."""
    resources = allocation.resources
    return Batch(
        pool,
        allocation.experiment_id,
        resources.workspace,
        resources.least,
        resources.slot_type or "",
        resources.slot_memory or 0,
        resources.max_slots or 0,
        resources.weight,
        resources.single_node,
        tuple(resources.avoid_nodes),
        tuple(resources.node_labels.items()),
        pool == allocation.pools[-1],
    )


def by_age(allocation: Allocation) -> Entry:
    """Its place among those of its owner that hold slots: the oldest first."""
    return Entry(0.0, allocation.number, allocation.allocation_id)


def owners(batch: Batch) -> tuple[tuple[str, str], tuple[str, str]]:
    """Whose it is: its experiment's and its workspace's."""
    return ("e", batch.experiment_id), ("w", batch.workspace)


def due(allocation: Allocation) -> Entry:
    """Its place among those that may be widened to a further pool, ranked by when."""
    waits = allocation.resources.burst_after * len(allocation.pools)
    return Entry(allocation.queued_at + waits, allocation.number, allocation.allocation_id)
