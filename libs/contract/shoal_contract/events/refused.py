"""What a decider says to a message that it cannot follow."""

from shoal_contract.base import Id
from shoal_contract.events.base import Event


class Refused(Event, type="refused.message", key=("decider",)):
    """A message that asks for the impossible: what came, what was expected, what to do."""

    decider: Id
    message_type: str
    subject_id: str
    """The id of the thing that the message was about."""
    reason: str
