"""What workspaces used of their month's quotas, as the scheduler tells of them."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import QuotaChanged
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Change, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to quotas."""
    event = envelope.event
    if not isinstance(event, QuotaChanged):
        return []
    fields = event.model_dump(mode="json", exclude={"workspace"}) | {"at": envelope.time}
    return [SetFields(keys.quota(event.workspace), fields)]
