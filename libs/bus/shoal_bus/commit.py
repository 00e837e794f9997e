"""Making decisions last: append, acknowledge, tell the shell, and keep a snapshot now and then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shoal_bus import tracing
from shoal_bus.append import append
from shoal_bus.bus import Bus
from shoal_bus.deciding import Item, Mind
from shoal_bus.snapshot import Snapshot, save_snapshot, shape_of
from shoal_contract.envelope import Envelope
from shoal_contract.events import Event, Refused
from shoal_contract.subjects import stream_of, subject_of

log = logging.getLogger(__name__)
S = TypeVar("S")

CHUNK = 500
"""Events in one append, unless one message alone leads to more."""
SNAPSHOT_EVERY = 2000
"""Journal events between snapshots."""


@dataclass(slots=True)
class Committer(Generic[S]):
    """Writes what `mind` decided after the journal's sequence `end`."""

    bus: Bus
    mind: Mind[S]
    end: int
    since_snapshot: int
    fence: int
    """What the next append expects: `end`, or, with a mark, where that stood last."""
    mark: Event | None = None
    on_commit: Callable[[Sequence[Envelope]], Awaitable[None]] | None = None

    async def commit(self, items: Sequence[Item]) -> None:
        """Append what the items led to, then acknowledge them.

        Raises FencedError if that failed: then `mind` is not to be trusted any more.
        """
        chunk: list[Item] = []
        size = 0
        for item in items:
            if chunk and size + len(item.envelopes) > CHUNK:
                await self._commit(chunk)
                chunk, size = [], 0
            chunk.append(item)
            size += len(item.envelopes)
        if chunk:
            await self._commit(chunk)
        if self.since_snapshot >= SNAPSHOT_EVERY:
            await self.keep()

    async def _commit(self, items: Sequence[Item]) -> None:
        kept = [envelope for item in items for envelope in item.kept]
        if self.mind.journal is None:
            await self._publish(kept)
        elif kept:
            self.end, mark = -1, self._marked(kept[0])  # unknown until the append is answered
            self.end = await append(self.bus, self.mind.journal, kept, self.fence, mark)
            self.fence = self.end if mark is None else self.end - len(kept)
            self.since_snapshot += len(kept)
        self.mind.ahead -= len(kept)
        for item in items:
            item.committed = True
        await self._publish(
            [e for item in items for e in item.envelopes if isinstance(e.event, Refused)]
        )
        for item in items:
            if item.delivery is not None:
                await item.delivery.ack()
        for item in items:
            if item.answer is not None and not item.answer.done():
                item.answer.set_result([envelope.event for envelope in item.envelopes])
        if kept:
            tracing.decided.add(len(kept), {"decider": self.mind.decider.name})
            if self.on_commit is not None:
                await self.on_commit(kept)

    def _marked(self, first: Envelope) -> Envelope | None:
        if self.mark is None:
            return None
        return first.model_copy(
            update={"id": f"{first.id}-mark", "event": self.mark, "cause": None}
        )

    async def _publish(self, envelopes: Sequence[Envelope]) -> None:
        """Publish in order: by stream where it is synced, by subject where it is not."""
        lines: dict[str, list[Envelope]] = {}
        for envelope in envelopes:
            stream = stream_of(envelope.event.type)
            synced = stream.storage == "synced"
            line = stream.name if synced else subject_of(envelope.event)
            lines.setdefault(line, []).append(envelope)
        if lines:
            await asyncio.gather(*(self._send(line) for line in lines.values()))

    async def _send(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            await self.bus.send(envelope)

    async def keep(self) -> None:
        """Keep a snapshot, if there is anything new that is known to be in the journal."""
        if self.mind.journal is None or not self.since_snapshot:
            return
        if self.end < 0 or self.mind.ahead:
            return  # the state is not that of a sequence of the journal
        name, state = self.mind.decider.name, self.mind.decider.dump(self.mind.state)
        shape = shape_of(type(self.mind.state))
        await save_snapshot(self.bus, name, Snapshot(self.end, state, self.mind.causes, shape))
        self.since_snapshot = 0
