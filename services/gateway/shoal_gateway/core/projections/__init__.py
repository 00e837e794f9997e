"""Events to changes of the read models.

A projection reads no model: what it needs is in the event. Streams are applied side by side, so
events of different streams never write the same field.
"""

from shoal_contract.envelope import Envelope
from shoal_gateway.core.changes import Change
from shoal_gateway.core.projections import (
    checkpoints,
    cost,
    experiments,
    instances,
    nodes,
    pools,
    queue,
    tracking,
    trials,
)

_ALL = (experiments, trials, checkpoints, nodes, instances, pools, cost, queue, tracking)


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes, over all read models."""
    return [change for projection in _ALL for change in projection.project(envelope)]
