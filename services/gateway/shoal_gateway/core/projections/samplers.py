"""Samplers: how often one of them failed, for whoever watches over the platform."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import SearchProposed
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Change, Increment


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to the count."""
    match envelope.event:
        case SearchProposed(failure=str(why)) if why:
            return [Increment(keys.SAMPLERS, "failures")]
    return []
