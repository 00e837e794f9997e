"""Events to changes of the read models.

A projection reads no model: what it needs is in the event. Streams are applied side by side, so
events of different streams never write the same field.
"""

from shoal_contract.envelope import Envelope
from shoal_contract.events import TrackingExperimentCreated
from shoal_gateway.core.changes import Change, Of
from shoal_gateway.core.projections import (
    checkpoints,
    cost,
    experiments,
    instances,
    nodes,
    pools,
    queue,
    quotas,
    runs,
    samplers,
    shares,
    tracking,
    trials,
)
from shoal_gateway.core.whose import experiment_in

_OWN = (experiments, trials, runs, checkpoints, shares, tracking)
"""What goes with its experiment."""
_COMMON = (nodes, instances, pools, cost, queue, quotas, samplers)


def project(envelope: Envelope) -> list[Change | Of]:
    """The changes that an event makes, over all read models."""
    common = [change for projection in _COMMON for change in projection.project(envelope)]
    own = [change for projection in _OWN for change in projection.project(envelope)]
    if (owner := _owner(envelope)) is None:
        return [*own, *common]
    return [*(Of(owner, change) for change in own), *common]


def _owner(envelope: Envelope) -> str | None:
    event = envelope.event
    if isinstance(event, TrackingExperimentCreated) and event.within is not None:
        return event.within
    return experiment_in(event)
