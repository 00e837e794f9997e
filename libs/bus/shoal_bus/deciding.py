"""From a message to envelopes: decide, evolve in memory, derive the ids from the cause."""

import time
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shoal_bus import tracing
from shoal_bus.consume import Consumer, Delivery
from shoal_bus.snapshot import Causes
from shoal_contract.envelope import Envelope
from shoal_contract.events import Event, Refused
from shoal_contract.ids import event_id
from shoal_contract.subjects import Stream, stream_of
from shoal_decider import Decider, Message, Told, settle

S = TypeVar("S")
MOST = 1000
"""Events that one message may lead to: the server takes no larger atomic batch."""


class DecideError(RuntimeError):
    """A decider raised: a bug. The text names the message."""


@dataclass(slots=True)
class Item:
    """A message on its way through the host."""

    id: str
    body: Told
    delivery: Delivery | None = None
    consumer: Consumer | None = None
    answer: "Future[Sequence[Event]] | None" = None
    envelopes: list[Envelope] = field(default_factory=list)
    committed: bool = False

    @property
    def kept(self) -> list[Envelope]:
        """What goes to the journal: all but refusals."""
        return [e for e in self.envelopes if not isinstance(e.event, Refused)]


@dataclass(slots=True)
class Mind(Generic[S]):
    """A decider's state in memory, perhaps ahead of its journal."""

    decider: Decider[S]
    journal: Stream | None
    source: str
    state: S
    causes: Causes
    now: float = 0.0
    ahead: int = 0
    """How many events the state knows that the journal does not."""

    def decide(self, item: Item) -> None:
        """Fill in what follows from a message, and change the state accordingly.

        Raises DecideError if the decider raises or breaks its contract. Then `ahead` tells whether
        the state is still whole: it counts the events of a failed evolve too.
        """
        item.envelopes = []
        if item.id in self.causes:
            return  # decided before, and appended
        self.now = max(self.now, time.time())
        parent = item.delivery.envelope.traceparent if item.delivery is not None else None
        with tracing.span(f"{self.decider.name}.decide", parent) as traceparent:
            try:
                message = Message(item.id, self.now, item.body)
                events = self.decider.decide(self.state, message)
                self._check(events)
            except Exception as error:
                raise DecideError(
                    f"{self.decider.name} could not decide on the message {item.id}"
                    f" ({type(item.body).__name__}): {error!r}"
                ) from error
        item.envelopes = [
            Envelope(
                id=event_id(self.decider.name, item.id, index),
                source=self.source,
                time=self.now,
                event=event,
                cause=item.id,
                traceparent=traceparent,
            )
            for index, event in enumerate(events)
        ]
        self.ahead += len(item.kept)
        try:
            self.state = settle(self.decider, self.state, events)
        except Exception as error:
            raise DecideError(
                f"{self.decider.name} could not evolve by what it decided on {item.id}: {error!r}"
            ) from error
        if item.envelopes:
            self.causes.add(item.id)

    def _check(self, events: Sequence[Event]) -> None:
        if self.journal is None:
            return
        if len(events) > MOST:
            raise ValueError(f"{len(events)} events at once: at most {MOST} can be appended as one")
        for event in events:
            if not isinstance(event, Refused) and stream_of(event.type) is not self.journal:
                raise ValueError(f"{event.type} is no event of {self.journal.name}")
