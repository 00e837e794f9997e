"""Resource pools, as the provisioner tells of them."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import DemandNoted
from shoal_contract.events.instance import (
    BudgetCrossed,
    PoolAdvised,
    PoolChanged,
    PoolConfigured,
    PoolDropped,
)
from shoal_gateway.core import keys
from shoal_gateway.core.changes import AddToIndex, Change, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to pools."""
    event = envelope.event
    match event:
        case PoolConfigured():
            fields = event.model_dump(mode="json", exclude={"at"}) | {"served": True}
            return [
                SetFields(keys.pool(event.pool), fields),
                AddToIndex(keys.POOLS, event.pool, event.at),
            ]
        case PoolDropped():
            fields = {"served": False}
        case PoolChanged():
            fields = {"changes": event.changes.given, "draining": event.draining}
        case DemandNoted():
            fields = {"missing_slots": event.missing_slots}
        case PoolAdvised():
            fields = {"would": event.would}
        case BudgetCrossed():
            fields = {"crossed": event.model_dump(mode="json", exclude={"pool"})}
        case _:
            return []
    return [SetFields(keys.pool(event.pool), fields)]
