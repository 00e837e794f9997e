"""What waits to be decided: answers of the shell first, then what consumers brought."""

import asyncio
from collections import deque
from collections.abc import Sequence

from shoal_bus.consume import Consumer
from shoal_bus.deciding import Item
from shoal_decider import Tick

GROUP = 256
"""Messages that one commit covers at most."""
ROOM = 2 * GROUP
"""Messages of the consumers that wait in memory at most."""


class Inbox:
    """A host's queues. What the shell told outlives a loss of the lead; the rest comes again."""

    def __init__(self) -> None:
        self._told: deque[Item] = deque()
        self._heard: deque[Item] = deque()
        self._closed = ""
        self._wake, self._room = asyncio.Event(), asyncio.Event()

    def add(self, item: Item) -> None:
        """Something that the shell told."""
        self._told.append(item)
        self._wake.set()
        if self._closed:
            self.give_up(self._closed)

    def wake(self) -> None:
        """Let `take` return, be there anything or not."""
        self._wake.set()

    async def take(self) -> tuple[list[Item], list[Item]]:
        """Wait, then take what was told and what was heard: together at most GROUP, maybe none."""
        await self._wake.wait()
        told = [self._told.popleft() for _ in range(min(GROUP, len(self._told)))]
        heard = [self._heard.popleft() for _ in range(min(GROUP - len(told), len(self._heard)))]
        self._room.set()
        if not self._told and not self._heard:
            self._wake.clear()
        return told, heard

    def put_back(self, told: Sequence[Item]) -> None:
        """What could not be committed comes first when there is a leader again."""
        self._told.extendleft(item for item in reversed(told) if not item.committed)

    def forget_heard(self) -> None:
        """Nobody leads: what was heard and not acknowledged is delivered again."""
        self._heard.clear()

    def give_up(self, reason: str) -> None:
        """Nobody will decide any more: tell those who wait, now or later."""
        self._closed = reason
        while self._told:
            answer = self._told.popleft().answer
            if answer is not None and not answer.done():
                answer.set_exception(RuntimeError(reason))

    async def listen(self, consumer: Consumer) -> None:
        """Bring what a consumer reads, as long as there is room, for ever."""
        try:
            async for batch in consumer.batches():
                for delivery in batch:
                    envelope = delivery.envelope
                    self._heard.append(Item(envelope.id, envelope.event, delivery, consumer))
                self._wake.set()
                while len(self._heard) >= ROOM:
                    self._room.clear()
                    await self._room.wait()
        finally:
            await consumer.close()

    async def ticks(self, seconds: float, new_id: str) -> None:
        """A Tick every so often, for ever, unless the last one still waits."""
        number = 0
        while True:
            await asyncio.sleep(seconds)
            if not any(isinstance(item.body, Tick) for item in self._told):
                number += 1
                self.add(Item(f"{new_id}-{number}", Tick()))
