"""What people ask of resource pools, written by the gateway."""

from shoal_contract.base import Id
from shoal_contract.events.base import Event
from shoal_contract.events.instance import PoolLimits

_POOL = ("pool",)


class PoolChangeRequested(Event, type="resource_pool.change_requested", key=_POOL):
    """A person wants a pool to have other limits. They outlive a restart, and go before its
    description."""

    pool: Id
    changes: PoolLimits
    reset: bool = False
    """First of all, everything is as its description says."""


class PoolDrainRequested(Event, type="resource_pool.drain_requested", key=_POOL):
    """A person wants a pool's machines, or one node, to checkpoint and go."""

    pool: Id
    node_id: Id | None = None
    """None: all machines of the pool, and none starts until it is to go on."""


class PoolResumeRequested(Event, type="resource_pool.resume_requested", key=_POOL):
    """A person wants a pool that was drained to start machines again."""

    pool: Id
