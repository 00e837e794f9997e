"""Reading what a stream holds of some subjects, once, from its first event to its last."""

from collections.abc import Sequence

from shoal_bus.bus import Bus
from shoal_bus.consume import Consumer
from shoal_contract.envelope import Envelope
from shoal_contract.subjects import Stream


async def read_all(bus: Bus, stream: Stream, filters: Sequence[str]) -> list[Envelope]:
    """The events whose subjects match one of `filters`, in the stream's order.

    What is published after the call began may be missing. No two filters may match the same
    subject. What is no event of ours is left out, and goes to the dead letters. Raises one of AWAY
    if the server is away at first; later it is waited for.
    """
    end = max([await bus.last_of(stream, subject) for subject in filters], default=0)
    found: list[Envelope] = []
    consumer = Consumer(bus, stream, filters=filters)
    try:
        while consumer.last < end and not await consumer.at_end():
            for delivery in await consumer.fetch(1.0):
                if delivery.sequence <= end:
                    found.append(delivery.envelope)
    finally:
        await consumer.close()
    return found
