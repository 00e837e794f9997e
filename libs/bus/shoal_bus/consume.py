"""Reading a stream: batches, explicit acknowledgement, dead letters for what cannot be used."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import NotFoundError

from shoal_bus.bus import AWAY, Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.deadletter import bury
from shoal_bus.pull import Pull
from shoal_contract.envelope import BadMessageError, Envelope, decode
from shoal_contract.subjects import Stream

log = logging.getLogger(__name__)

Start = Literal["all", "new"] | int
ACK_WAIT = 5.0
"""Seconds after which a message that was not acknowledged is delivered again."""
MAX_DELIVERIES = 5
"""A message that was delivered this often without success is a dead letter."""
LOOK = 3.0
"""Seconds between two looks at whether the consumer is still there."""
PAUSE = 0.25
"""Seconds until what could not be read is tried again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, to be acknowledged when what it caused is safe."""

    envelope: Envelope
    subject: str
    sequence: int
    deliveries: int
    """How often the server delivered it, this time included."""
    msg: Msg
    acknowledged: bool
    """Whether the server waits for an acknowledgement (of a durable consumer)."""

    async def ack(self) -> None:
        """It is done with. A lost acknowledgement only causes a repetition."""
        if self.acknowledged:
            await _quietly(self.msg.ack())

    async def nak(self, delay: float) -> None:
        """Deliver it again after `delay` seconds."""
        if self.acknowledged:
            await _quietly(self.msg.nak(delay=delay))

    async def in_progress(self) -> None:
        """It takes longer: wait for the acknowledgement from now."""
        if self.acknowledged:
            await _quietly(self.msg.in_progress())


@dataclass(slots=True)
class Consumer:
    """A pull consumer of one stream.

    With a `durable` name the server remembers what was acknowledged. Without, nothing needs to be
    acknowledged, and reading goes on after the last message seen, whatever happens to the server.
    """

    bus: Bus
    stream: Stream
    durable: str | None = None
    filters: Sequence[str] = ()
    start: Start = "all"
    batch: int = 256
    max_deliver: int | None = None
    """Durable only: what was delivered more often than this is a dead letter."""
    ack_wait: float = ACK_WAIT
    """Durable only: seconds after which what was not acknowledged is delivered again."""
    strict: bool = False
    """Raise BadMessageError for what is no event, rather than put it among the dead letters."""
    last: int = 0
    """Sequence of the last message returned."""
    _pending: int = -1
    """How many more there were when that was sent; -1: not known."""
    _complete: float = 0.0
    _pull: Pull | None = field(default=None, repr=False)
    _placed: bool = False

    @property
    def name(self) -> str:
        """What dead letters call this consumer."""
        return self.durable or self.bus.settings.service

    async def open(self) -> None:
        """Make sure that the consumer exists; what is published from now on will be seen.

        Raises nats.errors.Error or OSError while the server is away.
        """
        if self._pull is not None:
            return
        if self.durable is not None:
            info = await self._durable(self.durable)
        else:
            info = await self._ephemeral()
        pull = Pull(self.bus.nc, self.stream.name, info.name, self.batch)
        self.bus.pulls.add(pull)
        await pull.open()
        self._pull, self._pending = pull, -1

    async def ready(self) -> None:
        """As `open`, waiting while the server is away."""
        while True:
            stop_if_cancelled()
            try:
                return await self.open()
            except (NatsError, OSError) as error:
                log.info("%s cannot be read (%r); trying again", self.stream.name, error)
                if isinstance(error, NotFoundError):
                    await self.bus.mend()
                await asyncio.sleep(PAUSE)

    async def _durable(self, name: str) -> api.ConsumerInfo:
        config = self._config(self.start)
        try:
            info = await self.bus.js.consumer_info(self.stream.name, name)
        except NotFoundError:
            pass
        else:  # where an existing one started is history, and cannot be changed
            config.deliver_policy = info.config.deliver_policy
            config.opt_start_seq = info.config.opt_start_seq
        config.durable_name = name
        config.ack_wait = self.ack_wait
        config.max_deliver = -1
        config.max_ack_pending = 10_000
        return await self.bus.js.add_consumer(self.stream.name, config)

    async def _ephemeral(self) -> api.ConsumerInfo:
        end = (await self.bus.js.stream_info(self.stream.name)).state.last_seq
        if not self._placed:
            before = self.start - 1 if isinstance(self.start, int) else 0
            self.last = end if self.start == "new" else max(self.last, before)
            self._placed = True
        elif end < self.last:
            log.warning("%s begins anew: the server lost it", self.stream.name)
            self.last = 0
        config = self._config(self.last + 1)
        config.ack_policy = api.AckPolicy.NONE
        config.inactive_threshold = 60
        config.mem_storage = True
        return await self.bus.js.add_consumer(self.stream.name, config)

    def _config(self, start: Start) -> api.ConsumerConfig:
        config = api.ConsumerConfig(ack_policy=api.AckPolicy.EXPLICIT)
        if isinstance(start, int):
            config.deliver_policy = api.DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = max(1, start)
        elif start == "new":
            config.deliver_policy = api.DeliverPolicy.NEW
        if len(self.filters) == 1:
            config.filter_subject = self.filters[0]
        elif self.filters:
            config.filter_subjects = list(self.filters)
        return config

    async def waiting(self) -> int:
        """How many messages there are for this reader (no durable name) that it did not take yet.

        Those on their way count, too: the server's answer may overtake them.
        """
        await self.open()
        if self._pull is None:
            return 0
        info = await self.bus.js.consumer_info(self.stream.name, self._pull.consumer)
        sent = info.delivered.consumer_seq if info.delivered else 0
        return (info.num_pending or 0) + sent - self._pull.taken

    async def at_end(self) -> bool:
        """Whether this reader (no durable name) has taken all that there was when the last message
        was sent, or now if none has come since it was opened. False where that is not known, as
        while the server is away."""
        if self._pending < 0:
            with contextlib.suppress(*AWAY):
                if await self.waiting() == 0:
                    self._pending = 0
        return self._pending == 0

    async def complete_at(self) -> float:
        """Unix seconds up to which this reader (no durable name) has taken everything that it can
        know of: what the server said last; 0 where it has not reached the end yet."""
        await self.at_end()
        self._mark()
        return self._complete

    def _mark(self) -> None:
        if self._pending == 0 and self._pull is not None and not self._pull.messages:
            self._complete = self._pull.heard

    async def fetch(self, wait: float = 5.0) -> list[Delivery]:
        """What has arrived, at most `batch`; none if nothing came within `wait` seconds.

        Opens the consumer again when the server lost it.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        found: list[Delivery] = []
        while not found and (left := end - loop.time()) > 0:
            for msg in await self.take(left):
                if (delivery := await self.read(msg)) is not None:
                    found.append(delivery)
        return found

    async def take(self, wait: float = 5.0) -> list[Msg]:
        """As `fetch`, without looking at what the messages say: for who reads them by the
        thousand. Those that turn out to be no event are for `read`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        found: list[Msg] = []
        while not found and (left := end - loop.time()) > 0:
            stop_if_cancelled()
            try:
                async with asyncio.timeout(left):
                    await self.ready()
            except TimeoutError:
                break
            pull = self._pull
            if pull is None:
                continue
            await pull.wait(min(left, LOOK))
            found += pull.take(self.batch)
            await _quietly(pull.refill())
            if not pull.messages and pull.lost:
                log.info("reading %s goes on anew (%s)", self.stream.name, pull.lost)
                await self.close()
        if found:
            meta = found[-1].metadata
            self.last = max(self.last, meta.sequence.stream)
            self._pending = meta.num_pending or 0
        elif self._pending > 0:
            self._pending = -1  # they may have been deleted
        self._mark()
        return found

    async def batches(self) -> AsyncIterator[list[Delivery]]:
        """Messages as they come, for ever; never an empty list."""
        while True:
            if found := await self.fetch():
                yield found

    async def close(self) -> None:
        """Stop reading; `open` or `fetch` goes on where this stopped."""
        pull, self._pull = self._pull, None
        if pull is None or self.bus.nc.is_closed:
            return
        await _quietly(pull.close())
        if self.durable is None:  # not answered, so as not to wait for a server that is away
            subject = f"$JS.API.CONSUMER.DELETE.{self.stream.name}.{pull.consumer}"
            await _quietly(self.bus.nc.publish(subject, reply=self.bus.nc.new_inbox()))

    async def read(self, msg: Msg) -> Delivery | None:
        """The event of a message that was taken; None if it is none: it goes to the dead letters.

        Raises BadMessageError instead, if the consumer is `strict`.
        """
        meta = msg.metadata
        try:
            envelope = decode(msg.headers, msg.data)
        except BadMessageError as error:
            if self.strict:
                raise
            await bury(self.bus, msg, self.name, str(error))
            if self.durable is not None:
                await _quietly(msg.ack())
            return None
        deliveries = meta.num_delivered or 1
        delivery = Delivery(
            envelope,
            msg.subject,
            meta.sequence.stream,
            deliveries,
            msg,
            self.durable is not None,
        )
        if self.max_deliver is not None and deliveries > self.max_deliver:
            await self.bury(delivery, f"it was delivered {deliveries} times and never acknowledged")
            return None
        return delivery

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Give a message up: to the dead letters, and acknowledged."""
        await bury(self.bus, delivery.msg, self.name, reason)
        await delivery.ack()


async def _quietly(work: Awaitable[None]) -> None:
    with contextlib.suppress(NatsError, OSError):
        await work
