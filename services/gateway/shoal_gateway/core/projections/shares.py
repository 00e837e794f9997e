"""Places of experiments among others, where a person changed them."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import ShareChanged
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Change, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to shares."""
    match envelope.event:
        case ShareChanged() as event:
            share = event.model_dump(exclude={"experiment_id"})
            return [SetFields(keys.SHARES, {event.experiment_id: share})]
    return []
