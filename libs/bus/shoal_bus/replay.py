"""Reading back: the journal into a state, and what a dead leader left unacknowledged."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from shoal_bus.bus import Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.consume import Consumer, Delivery
from shoal_bus.snapshot import Causes, load_snapshot, shape_of
from shoal_contract.events import Event
from shoal_contract.subjects import Stream, subject_of
from shoal_decider import Decider

log = logging.getLogger(__name__)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Memory(Generic[S]):
    """What a journal says."""

    state: S
    journal_seq: int
    causes: Causes
    replayed: int
    """Events since the snapshot."""
    fence: int
    """What the next append expects: the journal's end, or where the mark stood last."""


async def remember(
    bus: Bus, decider: Decider[S], journal: Stream, mark: Event | None = None
) -> Memory[S]:
    """The state after the last event of the journal: from a snapshot and the events after it.

    The mark's place is read first: what others append after that is seen by the fence.
    Waits while the server is away. Raises BadMessageError if the journal holds no event of ours.
    """
    state, at, causes = decider.initial(), 0, Causes()
    while True:
        stop_if_cancelled()
        try:
            fence = await bus.last_of(journal, subject_of(mark)) if mark is not None else 0
            end = (await bus.js.stream_info(journal.name)).state.last_seq
            snapshot = await load_snapshot(bus, decider.name, shape_of(type(state)))
            break
        except (NatsError, OSError) as error:
            log.info("the journal %s cannot be read yet (%r)", journal.name, error)
            await asyncio.sleep(0.2)
    if snapshot is not None and snapshot.journal_seq > end:
        log.warning("the snapshot of %s is of another journal; it is not used", decider.name)
    elif snapshot is not None:
        try:
            state = decider.load(snapshot.state)
            at, causes = snapshot.journal_seq, snapshot.causes
        except ValueError as error:
            log.warning("the snapshot of %s cannot be loaded (%r)", decider.name, error)
    replayed = 0
    if at < end:
        reached = at
        async for delivery in _until(Consumer(bus, journal, start=at + 1, strict=True), end):
            reached = delivery.sequence
            state = decider.evolve(state, delivery.envelope.event)
            if delivery.envelope.cause is not None:
                causes.add(delivery.envelope.cause)
            replayed += 1
        if reached != end:
            raise RuntimeError(f"{journal.name} could be read to #{reached} only, not to #{end}")
    return Memory(state, end, causes, replayed, end if mark is None else fence)


async def left_behind(consumer: Consumer) -> AsyncIterator[Delivery]:
    """What was delivered to somebody else on this durable consumer and never acknowledged.

    The server delivers it again only after a while, behind newer messages; so it is read here
    first, in its order. Nothing is acknowledged by this.
    """
    if consumer.durable is None:
        return
    while True:
        stop_if_cancelled()
        try:
            info = await consumer.bus.js.consumer_info(consumer.stream.name, consumer.durable)
            break
        except NotFoundError:
            return
        except (NatsError, OSError) as error:
            log.info("%s cannot be read yet (%r)", consumer.stream.name, error)
            await asyncio.sleep(0.2)
    if not info.num_ack_pending or info.ack_floor is None or info.delivered is None:
        return
    end = info.delivered.stream_seq
    first = info.ack_floor.stream_seq + 1
    reader = Consumer(consumer.bus, consumer.stream, filters=consumer.filters, start=first)
    async for delivery in _until(reader, end):
        yield delivery


async def _until(reader: Consumer, end: int) -> AsyncIterator[Delivery]:
    try:
        while reader.last < end and not await reader.at_end():
            for delivery in await reader.fetch(1.0):
                if delivery.sequence <= end:
                    yield delivery
    finally:
        await reader.close()
