"""The host: runs any decider on NATS.

It leads while it holds the lease. Leading, it replays its journal, then decides on all that has
arrived, appends what follows in one fenced batch, and only then acknowledges. Whatever goes wrong
between deciding and appending, memory is thrown away and read anew from the journal.
"""

import asyncio
import contextlib
import itertools
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from nats.errors import Error as NatsError
from pydantic import BaseModel

from shoal_bus import tracing
from shoal_bus.append import MAX_BATCH, FencedError, append
from shoal_bus.bus import Bus
from shoal_bus.consume import Consumer, Delivery
from shoal_bus.lease import Lease
from shoal_bus.snapshot import Causes, load_snapshot, save_snapshot
from shoal_contract.envelope import Envelope
from shoal_contract.events import Event, Refused
from shoal_contract.ids import event_id
from shoal_contract.subjects import Stream
from shoal_decider import Decider, Message, Tick

log = logging.getLogger(__name__)
S = TypeVar("S")

GROUP = 256
"""Messages that one commit covers at most."""
SNAPSHOT_EVERY = 2000
"""Journal events between snapshots."""


@dataclass(frozen=True, slots=True)
class Input:
    """A stream that the decider hears, or a part of it."""

    stream: Stream
    filters: Sequence[str] = ()
    start: Literal["all", "new"] = "all"


@dataclass(slots=True)
class _Item:
    message: Message
    delivery: Delivery | None = None
    consumer: Consumer | None = None
    answer: "asyncio.Future[Sequence[Event]] | None" = None
    envelopes: list[Envelope] = field(default_factory=list)


@dataclass(slots=True)
class Host(Generic[S]):
    """Runs `decider` with `journal` as its memory.

    `journal` None: nothing is remembered, events go out unfenced, each to its own stream: for a
    worker, whose runs do not outlive it. `on_commit` gets what was appended, at least once and in
    order; `on_lead` gets the state when this host begins to lead: what it asks for and is not
    answered yet is to be done again.
    """

    bus: Bus
    decider: Decider[S]
    journal: Stream | None
    inputs: Sequence[Input]
    tick: float = 1.0
    on_commit: Callable[[Sequence[Envelope]], Awaitable[None]] | None = None
    on_lead: Callable[[S], Awaitable[None]] | None = None
    leading: asyncio.Event = field(default_factory=asyncio.Event)
    _state: S | None = None
    _inbox: "asyncio.Queue[_Item]" = field(default_factory=asyncio.Queue)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _told: "itertools.count[int]" = field(default_factory=itertools.count)
    _born: int = field(default_factory=time.time_ns)
    _last: int = 0
    _since_snapshot: int = 0
    _causes: Causes = field(default_factory=Causes)

    @property
    def state(self) -> S:
        """The state as of the last decision. To be read, not changed."""
        if self._state is None:
            raise RuntimeError("this host does not lead, so it has no state")
        return self._state

    def tell(self, body: BaseModel, id: str | None = None) -> None:
        """Give the decider an answer from the shell. It is not kept if the process dies."""
        self._inbox.put_nowait(_Item(self._message(body, id)))

    async def told(self, body: BaseModel, id: str | None = None) -> Sequence[Event]:
        """As `tell`, and wait for what was decided, once it is committed.

        Not to be awaited in `on_commit` or `on_lead`, which the host itself waits for.
        """
        answer: asyncio.Future[Sequence[Event]] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(_Item(self._message(body, id), answer=answer))
        return await answer

    def _message(self, body: BaseModel, id: str | None = None) -> Message:
        own = f"{self.bus.settings.replica}-{self._born}-{next(self._told)}"
        return Message(id or own, time.time(), body)

    async def run(self) -> None:
        """Lead whenever possible, until cancelled."""
        while True:
            lease = None
            if self.journal is not None:
                lease = Lease(self.bus, f"leader.{self.decider.name}", self.bus.settings.replica)
                await lease.acquire()
            try:
                await self._lead(lease)
            except FencedError as error:
                log.warning("%s: fenced off (%s); reading anew", self.decider.name, error)
            finally:
                self.leading.clear()
                if lease is not None:
                    await lease.release()

    async def _lead(self, lease: Lease | None) -> None:
        await self._load()
        self._inbox = asyncio.Queue()
        self._room.set()
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._listen(await self._open(source))) for source in self.inputs
            ]
            helpers.append(tasks.create_task(self._tick()))
            log.info("%s leads from #%d", self.decider.name, self._last)
            self.leading.set()
            try:
                if self.on_lead is not None:
                    await self.on_lead(self.state)
                while lease is None or not lease.lost.is_set():
                    await self._step()
                raise FencedError("the lease is lost")
            except FencedError as error:
                for helper in helpers:
                    helper.cancel()
                fenced = error
            finally:
                self._refuse_waiting()
        raise fenced

    async def _load(self) -> None:
        self._state, self._last, self._causes = self.decider.initial(), 0, Causes()
        if self.journal is None:
            return
        while True:
            try:
                if (found := await load_snapshot(self.bus, self.decider.name)) is not None:
                    self._last, self._causes = found.sequence, found.causes
                    self._state = self.decider.load(found.state)
                end = (await self.bus.js.stream_info(self.journal.name)).state.last_seq
                break
            except (NatsError, OSError) as error:
                log.info("the journal cannot be read yet (%r)", error)
                await asyncio.sleep(0.2)
        reader = Consumer(self.bus, self.journal, start=self._last + 1)
        self._since_snapshot = 0
        while self._last < end:
            for delivery in await reader.fetch(wait=1.0):
                self._state = self.decider.evolve(self.state, delivery.envelope.event)
                if delivery.envelope.cause is not None:
                    self._causes.add(delivery.envelope.cause)
                self._last = delivery.sequence
                self._since_snapshot += 1
        await reader.close()

    async def _open(self, source: Input) -> Consumer:
        name = self.bus.settings.service if self.journal is not None else None
        consumer = Consumer(
            self.bus, source.stream, durable=name, filters=source.filters, start=source.start
        )
        while True:
            try:
                await consumer.rewind()
                await consumer.open()
                return consumer
            except (NatsError, OSError) as error:
                log.info("%s cannot be read yet (%r)", source.stream.name, error)
                await asyncio.sleep(0.2)

    async def _listen(self, consumer: Consumer) -> None:
        try:
            async for batch in consumer.batches():
                for delivery in batch:
                    envelope = delivery.envelope
                    message = Message(envelope.id, time.time(), envelope.event)
                    await self._room.wait()
                    self._inbox.put_nowait(_Item(message, delivery, consumer))
                    if self._inbox.qsize() >= GROUP:
                        self._room.clear()
        finally:
            await consumer.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.tick)
            self.tell(Tick())

    async def _step(self) -> None:
        items = []
        with contextlib.suppress(TimeoutError):
            items.append(await asyncio.wait_for(self._inbox.get(), 1.0))
        while len(items) < GROUP and not self._inbox.empty():
            items.append(self._inbox.get_nowait())
        self._room.set()
        if not items:
            return
        done: list[_Item] = []
        size = 0
        for item in items:
            await self._decide(item)
            if size + len(item.envelopes) > MAX_BATCH and done:
                await self._commit(done)
                done, size = [], 0
            done.append(item)
            size += len(item.envelopes)
        await self._commit(done)

    async def _decide(self, item: _Item) -> None:
        message = item.message
        if message.id in self._causes:
            return  # decided before a crash, and appended
        try:
            events = list(self.decider.decide(self.state, message))
        except Exception:
            # Deciding is pure: a repetition would fail in the same way. So the message goes to
            # the dead letters at once, and everything else goes on.
            log.exception("%s: a bug: deciding on %s failed", self.decider.name, message.body)
            if item.delivery is None or item.consumer is None:
                return
            await item.consumer.bury(item.delivery, traceback.format_exc(limit=-3))
            item.delivery = None
            return
        parent = item.delivery.envelope.traceparent if item.delivery is not None else None
        with tracing.span(f"{self.decider.name}.decide", parent) as own:
            for index, event in enumerate(events):
                item.envelopes.append(
                    Envelope(
                        id=event_id(self.decider.name, message.id, index),
                        source=self.bus.source,
                        time=message.now,
                        event=event,
                        cause=message.id,
                        traceparent=own,
                    )
                )
                if not isinstance(event, Refused):
                    self._state = self.decider.evolve(self.state, event)
        if events:
            self._causes.add(message.id)

    async def _commit(self, items: Sequence[_Item]) -> None:
        envelopes = [e for item in items for e in item.envelopes]
        kept = [e for e in envelopes if not isinstance(e.event, Refused)]
        if self.journal is None:
            for envelope in kept:
                await self.bus.send(envelope)
        else:
            before = self._last
            self._last = await append(self.bus, self.journal, kept, before)
            self._since_snapshot += len(kept)
        for envelope in envelopes:
            if isinstance(envelope.event, Refused):
                log.info("%s refused: %s", self.decider.name, envelope.event.reason)
                await self.bus.send(envelope)
        for item in items:
            if item.delivery is not None and self.journal is not None:
                await item.delivery.ack()
        if kept:
            tracing.decided.add(len(kept), {"decider": self.decider.name})
            if self.on_commit is not None:
                await self.on_commit(kept)
        for item in items:
            if item.answer is not None and not item.answer.done():
                item.answer.set_result([e.event for e in item.envelopes])
        if self.journal is not None and self._since_snapshot >= SNAPSHOT_EVERY:
            self._since_snapshot = 0
            await save_snapshot(
                self.bus, self.decider.name, self._last, self.decider.dump(self.state), self._causes
            )

    def _refuse_waiting(self) -> None:
        while not self._inbox.empty():
            answer = self._inbox.get_nowait().answer
            if answer is not None and not answer.done():
                answer.set_exception(FencedError("the host no longer leads"))
