"""The host: runs any decider on NATS.

It leads while it holds the lease. Leading, it replays its journal, then decides on all that has
arrived, appends what follows in one fenced batch, and only then acknowledges. Whatever goes wrong
between deciding and appending, memory is thrown away and read anew from the journal.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nats.errors import Error as NatsError
from pydantic import BaseModel

from shoal_bus.append import FencedError
from shoal_bus.bus import Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.commit import Committer
from shoal_bus.consume import MAX_DELIVERIES, Consumer, Start
from shoal_bus.deciding import DecideError, Item, Mind
from shoal_bus.inbox import GROUP, Inbox
from shoal_bus.lease import Lease
from shoal_bus.replay import Memory, left_behind, remember
from shoal_bus.snapshot import Causes
from shoal_contract.envelope import Envelope
from shoal_contract.events import Event
from shoal_contract.subjects import Stream
from shoal_decider import Decider

log = logging.getLogger(__name__)
S = TypeVar("S")

OnCommit = Callable[[Sequence[Envelope]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Input:
    """A stream that the decider hears, or a part of it, from `start` on."""

    stream: Stream
    filters: Sequence[str] = ()
    start: Start = "all"


class Host(Generic[S]):
    """Runs `decider` with `journal` as its memory.

    `journal` None: nothing is remembered and no lease is taken; events go out unfenced, each to
    its own stream: for a worker, whose runs do not outlive it. `on_commit` gets what was appended,
    in order; what it missed because of a crash, `on_lead` finds in the state, which it gets when
    this host begins to lead. `durable` names the consumers; None: the service's name, or, without
    a journal, consumers that the server forgets. `mark` is for a journal that several write to,
    each for a shard (see `shoal_bus.sharing`).
    """

    def __init__(
        self,
        bus: Bus,
        decider: Decider[S],
        journal: Stream | None,
        inputs: Sequence[Input],
        *,
        tick: float = 1.0,
        on_commit: OnCommit | None = None,
        on_lead: Callable[[S], Awaitable[None]] | None = None,
        durable: str | None = None,
        mark: Event | None = None,
    ) -> None:
        if len({source.stream.name for source in inputs}) != len(inputs):
            raise ValueError("two inputs read one stream: give one with both filters")
        self.bus = bus
        self.leading = asyncio.Event()
        self._decider, self._journal, self._inputs = decider, journal, inputs
        self._tick, self._on_commit, self._on_lead = tick, on_commit, on_lead
        self._durable = durable or (bus.settings.service if journal is not None else None)
        self._mark = mark
        self._mind: Mind[S] | None = None
        self._inbox = Inbox()
        self._poison, self._stopping = set[str](), asyncio.Event()

    @property
    def state(self) -> S:
        """The state as of the last decision. To be read, not changed."""
        if self._mind is None:
            raise RuntimeError(f"{self._decider.name} does not lead here, so it has no state")
        return self._mind.state

    def tell(self, body: BaseModel, id: str | None = None) -> None:
        """Give the decider an answer from the shell. It is not kept if the process dies."""
        self._inbox.add(Item(id or uuid.uuid4().hex, body))

    async def told(self, body: BaseModel, id: str | None = None) -> Sequence[Event]:
        """As `tell`, and wait for what was decided (refusals too), once it is committed.

        Not to be awaited in `on_commit` or `on_lead`, which the host itself waits for. Raises
        DecideError if the decider has a bug there.
        """
        answer: asyncio.Future[Sequence[Event]] = asyncio.get_running_loop().create_future()
        self._inbox.add(Item(id or uuid.uuid4().hex, body, answer=answer))
        return await answer

    def stop(self) -> None:
        """Let `run` end after what it is at."""
        self._stopping.set()
        self._inbox.wake()

    async def run(self) -> None:
        """Lead whenever possible, until stopped or cancelled.

        Raises DecideError after a decider's bug: the process should end, and be started again.
        """
        try:
            await self._run()
        finally:
            self._inbox.give_up(f"{self._decider.name} has stopped here")

    async def _run(self) -> None:
        pause = 0.05
        while not self._stopping.is_set():
            lease: Lease | None = None
            if self._journal is not None:
                lease = Lease(self.bus, f"leader.{self._decider.name}", self.bus.settings.replica)
            try:
                if lease is None or await self._first(lease.acquire()):
                    await self._lead(lease)
            except FencedError as error:
                log.warning("%s: fenced off (%s); reading anew", self._decider.name, error)
                pause = 0.05 if self.leading.is_set() else min(2.0, pause * 2)
            finally:
                self.leading.clear()
                self._inbox.forget_heard()
                self._mind = None
                if lease is not None:
                    await lease.release()
            stop_if_cancelled()
            await self._first(asyncio.sleep(pause))

    async def _first(self, work: Awaitable[None]) -> bool:
        """Whether `work` ended before this host was stopped."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            return task.done()
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    async def _lead(self, lease: Lease | None) -> None:
        memory = Memory(self._decider.initial(), 0, Causes(), 0, 0)
        if self._journal is not None:
            memory = await remember(self.bus, self._decider, self._journal, self._mark)
        mind = Mind(self._decider, self._journal, self.bus.source, memory.state, memory.causes)
        committer = Committer(
            self.bus, mind, memory.journal_seq, memory.replayed, memory.fence, self._mark
        )
        consumers = [
            Consumer(self.bus, i.stream, durable=self._durable, filters=i.filters, start=i.start)
            for i in self._inputs
        ]
        for consumer in consumers:
            await self._catch_up(consumer, mind, committer)
            await consumer.ready()
        self._mind = mind
        if self._on_lead is not None:
            await self._on_lead(mind.state)
        committer.on_commit = self._on_commit  # what came before, `on_lead` found in the state
        log.info("%s leads from #%d", self._decider.name, committer.end)
        self.leading.set()
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._inbox.listen(consumer)) for consumer in consumers
        ]
        tasks.append(asyncio.create_task(self._inbox.ticks(self._tick, uuid.uuid4().hex)))
        if lease is not None:
            tasks.append(asyncio.create_task(lease.lost.wait()))
        for task in tasks:
            task.add_done_callback(lambda _: self._inbox.wake())
        try:
            while not self._stopping.is_set():
                await self._step(mind, committer)
                stop_if_cancelled()
                for task in tasks:
                    if task.done():
                        task.result()  # raises what ended it; else it is the lease
                        raise FencedError("the lease is lost")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await committer.keep()

    async def _catch_up(self, consumer: Consumer, mind: Mind[S], committer: Committer[S]) -> None:
        items: list[Item] = []
        async for delivery in left_behind(consumer):
            item = Item(delivery.envelope.id, delivery.envelope.event, delivery)
            if item.id in self._poison:
                continue
            try:
                mind.decide(item)
            except DecideError as error:  # it will be delivered again, and counted
                self._poison.add(item.id)
                await committer.commit(items)
                items = []
                self._whole(mind, error)
                continue
            items.append(item)
            if len(items) >= GROUP:
                await committer.commit(items)
                items = []
        await committer.commit(items)

    async def _step(self, mind: Mind[S], committer: Committer[S]) -> None:
        told, heard = await self._inbox.take()
        done: list[Item] = []
        try:
            for item in (*told, *heard):
                try:
                    mind.decide(item)
                except DecideError as error:
                    await committer.commit(done)
                    done = []
                    await self._broken(item, error)
                    self._whole(mind, error)
                    continue
                done.append(item)
            await committer.commit(done)
        except BaseException:
            self._inbox.put_back(told)
            raise

    async def _broken(self, item: Item, error: DecideError) -> None:
        log.error("%s", error, exc_info=error)
        item.committed = True
        if item.answer is not None and not item.answer.done():
            item.answer.set_exception(error)
        if item.delivery is not None and item.consumer is not None:
            if item.delivery.deliveries >= MAX_DELIVERIES:
                await item.consumer.bury(item.delivery, f"{error} (cause: {error.__cause__!r})")
                return
            await item.delivery.nak(0.5)
            with contextlib.suppress(NatsError, OSError):
                await self.bus.nc.flush(2)
        raise error

    @staticmethod
    def _whole(mind: Mind[S], error: DecideError) -> None:
        if mind.ahead:
            raise FencedError(f"the state is torn: {error}")
